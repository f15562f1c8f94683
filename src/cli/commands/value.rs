use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etcdsnap::etcd::record::Record;
use etcdsnap::kube::encryption::{KeyInfo, Keyring, Locked, open};
use etcdsnap::ops::OpError;
use etcdsnap::ops::lookup::key;
use serde::Serialize;

use super::keys::{KeyDocument, skipped};
use super::{SCHEMA_VERSION, write_json};
use crate::cli::decryption::{Decryption, advice};
use crate::cli::failure::Failure;
use crate::cli::input::{self, HexBytes, KubernetesKeys, Reading, Threads};
use crate::cli::output::text::{hex, safe};
use crate::cli::{Context, Outcome, progress};

/// One key's value, byte for byte
///
/// Exactly the stored bytes, with nothing behind them; what is encrypted stays so
/// without --encryption-config. On a terminal bytes that are no text are shown as
/// escapes.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap value [OPTIONS] FILE KEY")]
pub(crate) struct Value {
    /// The snapshot, and the key
    #[arg(value_name = "FILE KEY")]
    words: Vec<OsString>,
    /// As it was at this revision
    #[arg(long, alias = "revision", value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ValueFormat::Raw)]
    output: ValueFormat,
    /// The value as hexadecimal digits
    #[arg(long, conflicts_with = "output")]
    hex: bool,
    /// KEY as hexadecimal digits (`keyHex` of `keys -o json`): for bytes that no
    /// command line can hold
    #[arg(long, value_name = "HEX", value_parser = input::bytes_of_hex)]
    key_hex: Option<HexBytes>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
    #[command(flatten)]
    decryption: Decryption,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ValueFormat {
    /// The bytes
    Raw,
    /// The value in base64, with its revisions
    Json,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    #[serde(flatten)]
    key: KeyDocument,
    /// The key that opened the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_by: Option<OpenedBy>,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OpenedBy {
    provider: String,
    key_name: String,
}

impl Value {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.reading.split(&self.words)?;
        let Some(wanted) = input::word_or_hex(&words, self.key_hex.as_ref(), "KEY", "--key-hex")? else {
            return Err(Failure::usage("no KEY was given").hint("`etcdsnap keys FILE` lists the keys"));
        };
        let keyring = self.decryption.keyring(context)?;
        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        let db = snapshot.db().map_err(OpError::from)?;
        let total = snapshot.source().bytes().len() as u64;
        let state = progress::watch(context, "reading", total, progress::walked, || {
            key(&db, &wanted, self.rev, &settings)
        })?;
        let shown = safe(&wanted);
        match &state.newest {
            None if !state.damage.is_empty() => {
                skipped(context, &state.damage)?;
                return Err(Failure::no(format!("{shown}: not among what can be read of this file")).hint(
                    "what cannot be read may hold it: `etcdsnap salvage` and `etcdsnap carve` look there",
                ));
            }
            None => {
                return Err(Failure::no(format!(
                    "{shown}: there is no such key at revision {}",
                    state.revision
                ))
                .hint("`etcdsnap keys FILE PREFIX` lists the keys there are"));
            }
            Some(record) if record.tombstone => {
                skipped(context, &state.damage)?;
                let deleted = record.revision;
                return Err(Failure::no(format!("{shown}: the key was deleted at revision {deleted}")).hint(
                    format!(
                        "--rev {} shows it as it was before, unless that was compacted away",
                        deleted.main - 1
                    ),
                ));
            }
            Some(record) => self.opened(context, record, keyring.as_ref())?,
        }
        snapshot.source().finish()?;
        skipped(context, &state.damage)
    }

    /// Prints the value, in plain text if there are keys.
    fn opened(
        &self,
        context: &mut Context<'_>,
        record: &Record<'_>,
        keyring: Option<&Keyring>,
    ) -> Result<(), Failure> {
        let (key, stored) = (record.kv.key, record.kv.value);
        let Some(keyring) = keyring else {
            if let Some(locked) = Locked::without_configuration(stored)
                && std::io::stdout().is_terminal()
            {
                context.say(format_args!("note: {}", safe(locked.to_string().as_bytes())));
            }
            return self.print(context, record, stored, None);
        };
        match open(Some(keyring), &self.kubernetes.prefixes(), key, stored) {
            Ok(opened) => {
                let info = opened.key.and_then(|id| keyring.key(id));
                self.print(context, record, &opened, info)
            }
            Err(locked) => {
                let failure = Failure::no(format!("{}: {locked}", key.escape_ascii()));
                Err(match locked.other_key.and_then(|id| keyring.key(id)) {
                    Some(info) => failure.hint(format!(
                        "the secret of {:?} ({}) is the right one, under another name or in the rule for another resource",
                        info.name, info.place
                    )),
                    None => failure.hint(advice(locked.why)),
                })
            }
        }
    }

    fn print(
        &self,
        context: &mut Context<'_>,
        record: &Record<'_>,
        value: &[u8],
        opened_by: Option<&KeyInfo>,
    ) -> Result<(), Failure> {
        if self.output == ValueFormat::Json {
            let document = Document {
                schema_version: SCHEMA_VERSION,
                key: KeyDocument::of(record, false),
                opened_by: opened_by.map(|info| OpenedBy {
                    provider: info.provider.to_string(),
                    key_name: safe(info.name.as_bytes()),
                }),
                value: STANDARD.encode(value),
            };
            return write_json(context.out, &document);
        }
        if self.hex {
            writeln!(context.out, "{}", hex(value))?;
            return Ok(());
        }
        if std::io::stdout().is_terminal() {
            let plain = |line: &[u8]| safe(line).as_bytes() == line;
            if !value.split(|byte| *byte == b'\n' || *byte == b'\t').all(plain) {
                context.say(
                    "note: the value is no plain text and is shown with escapes; redirect it for its bytes",
                );
                writeln!(context.out, "{}", safe(value))?;
                return Ok(());
            }
        }
        context.out.write_all(value)?;
        Ok(())
    }
}
