use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use etcdsnap::etcd::lease::LeaseId;
use etcdsnap::etcd::record::Record;
use etcdsnap::ops::OpError;
use etcdsnap::ops::keys::{KeyListing, keys};
use serde::Serialize;

use super::{ListFormat, SCHEMA_VERSION};
use crate::cli::failure::Failure;
use crate::cli::input::{self, FileOption};
use crate::cli::output::columns::Columns;
use crate::cli::output::text::{hex, safe};
use crate::cli::{Context, Outcome};

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
    #[command(flatten)]
    file: FileOption,
    /// As they were at this revision
    #[arg(long, alias = "revision", value_name = "N")]
    rev: Option<i64>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Name)]
    output: ListFormat,
    /// Keys as hexadecimal digits
    #[arg(long)]
    hex: bool,
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
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.file.split(&self.words)?;
        input::at_most(&words, 1)?;
        let snapshot = input::snapshot(&file, context.global)?;
        etcdsnap::ops::prepare(&snapshot);
        let db = snapshot.db().map_err(OpError::from)?;
        let prefixes = words.first().map(|prefix| prefix.as_bytes().to_vec()).into_iter().collect();
        let listing = keys(&db, prefixes, self.rev, &context.settings())?;
        self.print(context.out, &listing)?;
        snapshot.source().finish()?;
        skipped(context, &listing.damage)
    }

    fn shown(&self, key: &[u8]) -> String {
        if self.hex { hex(key) } else { safe(key) }
    }

    fn print(&self, out: &mut dyn Write, listing: &KeyListing<'_>) -> Result<(), Failure> {
        match self.output {
            ListFormat::Name => {
                for record in listing.by_key() {
                    writeln!(out, "{}", self.shown(record.kv.key))?;
                }
            }
            ListFormat::Raw0 => {
                for record in listing.by_key() {
                    out.write_all(record.kv.key)?;
                    out.write_all(&[0])?;
                }
            }
            ListFormat::Table => {
                let mut table =
                    Columns::new(out, &["CREATED", "MODIFIED", "VERSION", "LEASE", "SIZE", "KEY"]);
                for record in listing.by_key() {
                    let kv = &record.kv;
                    table.row(vec![
                        kv.create_revision.to_string(),
                        kv.mod_revision.to_string(),
                        kv.version.to_string(),
                        if kv.lease == 0 { "-".to_owned() } else { LeaseId(kv.lease).to_string() },
                        kv.value.len().to_string(),
                        self.shown(kv.key),
                    ])?;
                }
                table.finish()?;
            }
            ListFormat::Jsonl => {
                for record in listing.by_key() {
                    serde_json::to_writer(&mut *out, &KeyDocument::of(&record, self.hex))?;
                    writeln!(out)?;
                }
            }
            ListFormat::Json => {
                let window = listing.window;
                write!(
                    out,
                    "{{\n  \"schemaVersion\": {SCHEMA_VERSION},\n  \"revision\": {},\n  \"oldestRevision\": {},\n  \"newestRevision\": {},\n  \"keys\": [",
                    listing.revision,
                    window.oldest(),
                    window.current
                )?;
                for (index, record) in listing.by_key().enumerate() {
                    write!(out, "{}\n    ", if index > 0 { "," } else { "" })?;
                    serde_json::to_writer(&mut *out, &KeyDocument::of(&record, self.hex))?;
                }
                writeln!(out, "\n  ]\n}}")?;
            }
        }
        Ok(())
    }
}

/// Tells of damage that was skipped: the answer is then not all there is.
pub(super) fn skipped(context: &mut Context<'_>, damage: &etcdsnap::ops::Damage) -> Result<Outcome, Failure> {
    if damage.is_empty() {
        return Ok(Outcome::Yes);
    }
    context.out.flush()?;
    context.say(format_args!("warning: damage was skipped, the answer is not complete: {damage}"));
    Ok(Outcome::No)
}
