use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use etcdsnap::etcd::history::LostRevisions;
use etcdsnap::etcd::keyspace::LiveKey;
use etcdsnap::etcd::lease::LeaseId;
use etcdsnap::etcd::record::Record;
use etcdsnap::ops::keys::{KeyListing, keys};
use etcdsnap::ops::{LeftOut, OpError, prepare};
use serde::Serialize;

use super::{ListFormat, SCHEMA_VERSION};
use crate::cli::failure::Failure;
use crate::cli::input::{self, HexBytes, Reading, Threads};
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::json;
use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, hex, safe, safe_cow};
use crate::cli::{Context, Outcome, progress};

/// Which keys there are
///
/// The keys that are alive, in order; those that begin with KEYPREFIX, if one is
/// given. Deleted keys are not among them.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap keys [OPTIONS] FILE [KEYPREFIX]")]
pub(crate) struct Keys {
    /// The snapshot, and what the keys are to begin with
    #[arg(value_name = "FILE [KEYPREFIX]")]
    words: Vec<OsString>,
    /// As they were at this revision
    #[arg(long, alias = "revision", value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Name)]
    output: ListFormat,
    /// Keys as hexadecimal digits
    #[arg(long)]
    hex: bool,
    /// KEYPREFIX as hexadecimal digits: for bytes that no command line can hold
    #[arg(long, value_name = "HEX", value_parser = input::bytes_of_hex)]
    prefix_hex: Option<HexBytes>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    threads: Threads,
}

/// A key in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyDocument {
    /// As text; bytes that are no text are escaped.
    key: String,
    /// All bytes, where the text is not all there is to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    value_size: u64,
}

impl KeyDocument {
    pub(super) fn of(record: &Record<'_>, with_hex: bool) -> Self {
        let kv = &record.kv;
        let key = safe(kv.key);
        let escaped = key.as_bytes() != kv.key;
        Self {
            key_hex: (with_hex || escaped).then(|| hex(kv.key)),
            key,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: (kv.lease != 0).then(|| LeaseId(kv.lease).to_string()),
            value_size: kv.value.len() as u64,
        }
    }
}

impl Keys {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.reading.split(&self.words)?;
        let prefix = input::word_or_hex(&words, self.prefix_hex.as_ref(), "KEYPREFIX", "--prefix-hex")?;
        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        prepare(&snapshot, settings.threads);
        let db = snapshot.db().map_err(OpError::from)?;
        let total = snapshot.source().bytes().len() as u64;
        let listing = progress::watch(context, "reading", total, progress::walked, || {
            keys(&db, prefix.into_iter().collect(), self.rev, &settings)
        })?;
        self.print(context, &listing, settings.threads)?;
        snapshot.source().finish()?;
        skipped(context, &listing.damage)
    }

    fn shown<'k>(&self, key: &'k [u8]) -> Cow<'k, str> {
        if self.hex { Cow::Owned(hex(key)) } else { safe_cow(key) }
    }

    fn print(
        &self,
        context: &mut Context<'_>,
        listing: &KeyListing<'_>,
        threads: NonZeroUsize,
    ) -> Result<(), Failure> {
        let window = listing.window;
        let out = &mut *context.out;
        if self.output == ListFormat::Table {
            let mut table = Columns::new(out, &["CREATED", "MODIFIED", "VERSION", "LEASE", "SIZE", "KEY"]);
            return in_order(listing, threads, |run| self.rows(run), |rows| table.print(&rows));
        }
        if self.output == ListFormat::Json {
            writeln!(
                out,
                "{{\n  \"schemaVersion\": {SCHEMA_VERSION},\n  \"revision\": {},",
                listing.revision
            )?;
            write!(
                out,
                "  \"oldestRevision\": {},\n  \"newestRevision\": {},\n  \"keys\": [",
                window.oldest(),
                window.current
            )?;
        }
        let mut separator = "\n    ";
        in_order(
            listing,
            threads,
            |run| self.lines(run),
            |lines| match lines {
                Ok(lines) if self.output == ListFormat::Json => {
                    for line in lines.split_inclusive(|byte| *byte == b'\n') {
                        write!(out, "{separator}")?;
                        out.write_all(line.trim_ascii_end())?;
                        separator = ",\n    ";
                    }
                    Ok(())
                }
                Ok(lines) => out.write_all(&lines),
                Err(error) => Err(error),
            },
        )?;
        if self.output == ListFormat::Json {
            writeln!(context.out, "\n  ]\n}}")?;
        }
        Ok(())
    }

    /// A run of keys as text, by whichever thread.
    fn lines(&self, run: &mut dyn Iterator<Item = LiveKey<'_>>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        for live in run {
            match self.output {
                ListFormat::Raw0 => {
                    out.extend_from_slice(live.key);
                    out.push(0);
                }
                ListFormat::Json | ListFormat::Jsonl => {
                    let Some(record) = live.record() else { continue };
                    json::write_line(&mut out, &KeyDocument::of(&record, self.hex))?;
                }
                ListFormat::Name | ListFormat::Table => {
                    out.extend_from_slice(self.shown(live.key).as_bytes());
                    out.push(b'\n');
                }
            }
        }
        Ok(out)
    }

    fn rows(&self, run: &mut dyn Iterator<Item = LiveKey<'_>>) -> Rows {
        let mut rows = Rows::default();
        for record in run.filter_map(|live| live.record()) {
            let kv = &record.kv;
            rows.cell(&kv.create_revision.to_string());
            rows.cell(&kv.mod_revision.to_string());
            rows.cell(&kv.version.to_string());
            rows.cell(&if kv.lease == 0 { "-".to_owned() } else { LeaseId(kv.lease).to_string() });
            rows.cell(&kv.value.len().to_string());
            rows.cell(&self.shown(kv.key));
        }
        rows
    }
}

/// Formats runs of keys side by side and writes them in order; the first error
/// ends the writing.
fn in_order<'a, T: Send>(
    listing: &KeyListing<'a>,
    threads: NonZeroUsize,
    map: impl Fn(&mut dyn Iterator<Item = LiveKey<'a>>) -> T + Sync,
    mut write: impl FnMut(T) -> io::Result<()> + Send,
) -> Result<(), Failure> {
    let mut result = Ok(());
    listing.by_key(threads, map, |run| {
        if result.is_ok() {
            result = write(run);
        }
    });
    result.map_err(Failure::from)
}

/// Tells of damage that was skipped: the answer is then not all there is.
pub(super) fn skipped(context: &mut Context<'_>, damage: &etcdsnap::ops::Damage) -> Result<Outcome, Failure> {
    if damage.is_empty() {
        return Ok(Outcome::Yes);
    }
    context.out.flush()?;
    let left = damage.left_out();
    // Where pages stand in each other's place, nothing need be missing.
    let is = if left == LeftOut::default() && damage.missing_bytes == 0 { "may not be" } else { "is not" };
    context.say(format_args!("warning: damage was skipped, the answer {is} complete: {damage}"));
    if let Some(line) = left_out(&left) {
        context.say(format_args!("  left out: {line}"));
    }
    for hole in left.missing.iter().take(HOLES) {
        context.say(format_args!("  {hole}: what was written in {} is not in what you see", them(hole)));
    }
    if let Some(newer) = &left.newer {
        context.say(format_args!(
            "  {} {} newer than what you see; `etcdsnap salvage` looks for what was written then",
            newer.revisions(),
            if newer.first == newer.last { "is" } else { "are" },
        ));
    }
    if left.missing.len() > HOLES {
        let more = left.missing.len().saturating_sub(HOLES) as u64;
        context
            .say(format_args!("  and {} more; `etcdsnap verify` has them all", count(more, "hole", "holes")));
    }
    Ok(Outcome::No)
}

/// How many holes in the history are told one by one.
const HOLES: usize = 3;

fn them(hole: &LostRevisions) -> &'static str {
    if hole.part || hole.first == hole.last { "it" } else { "them" }
}

/// How much an answer was made without, as far as that is known.
fn left_out(left: &LeftOut) -> Option<String> {
    let mut parts = Vec::new();
    for (number, one, more) in [
        (
            left.records,
            "record that cannot be read or contradicts itself",
            "records that cannot be read or contradict themselves",
        ),
        (left.entries, "entry of a damaged page", "entries of damaged pages"),
        (left.pages, "page with all that it leads to", "pages with all that they lead to"),
    ] {
        if number > 0 {
            parts.push(count(number, one, more));
        }
    }
    if parts.is_empty() {
        return None;
    }
    let mut line = format!("{}{}", if left.more { "at least " } else { "" }, parts.join(", "));
    if let (Some((first, _)), Some((_, end))) = (left.revisions.first(), left.revisions.last()) {
        let first = grouped(first.unsigned_abs());
        let span = match (end, left.revision_count()) {
            (Some(end), Some(1)) => format!("in revision {}", grouped(end.saturating_sub(1).unsigned_abs())),
            (Some(end), Some(number)) => {
                let last = grouped(end.saturating_sub(1).unsigned_abs());
                format!("in up to {} between {first} and {last}", count(number, "revision", "revisions"))
            }
            _ => format!("in revisions from {first} on"),
        };
        line.push_str(&format!("; they hold what was written {span}, which keys is not known"));
    }
    Some(line)
}
