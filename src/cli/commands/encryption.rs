use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcdsnap::kube::encryption::{KeyInfo, Keyring, Why};
use etcdsnap::kube::envelope::Provider;
use etcdsnap::ops::encryption::{LockedGroup, Report, Request, Row, StoredAs, audit};
use etcdsnap::ops::list::TypeKey;
use etcdsnap::ops::{OpError, prepare};
use serde::Serialize;

use super::keys::skipped;
use super::{PageFormat, SCHEMA_VERSION, write_json};
use crate::cli::decryption::{Decryption, advice};
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Reading, Threads};
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, safe, shown};
use crate::cli::{Context, Outcome, progress};

/// How objects are encrypted, and whether a key file opens them all
///
/// Counts the objects of each type by provider and key. With --encryption-config
/// every one of them is opened as an API server would. Exit 0: an API server that
/// has this key file can read all of this backup. Exit 1: it cannot.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap encryption [OPTIONS] FILE")]
pub(crate) struct Encryption {
    /// The snapshot
    #[arg(value_name = "FILE")]
    words: Vec<OsString>,
    #[command(flatten)]
    reading: Reading,
    /// Also values that were overwritten or deleted since
    #[arg(long)]
    all_revisions: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
    #[command(flatten)]
    decryption: Decryption,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    revision: i64,
    all_revisions: bool,
    values: u64,
    encrypted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_all: Option<bool>,
    resources: Vec<RowDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<Vec<LockedDocument>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<KeyDocument>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredDocument {
    resource: String,
    /// `identity` for plain text, `unknown` for a broken header.
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_plugin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RowDocument {
    #[serde(flatten)]
    stored: StoredDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<u64>,
    /// Would be written in another way.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LockedDocument {
    #[serde(flatten)]
    stored: StoredDocument,
    why: &'static str,
    meaning: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    right_key: Option<KeyDocument>,
    examples: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyDocument {
    provider: String,
    name: String,
    place: String,
    opened: u64,
}

impl StoredDocument {
    fn of(type_key: &TypeKey<'_>, stored: &StoredAs<'_>, count: u64) -> Self {
        let mut document = Self {
            resource: type_key.name(),
            provider: provider(stored),
            key_name: None,
            kms_plugin: None,
            kms_key_id: None,
            count,
        };
        if let StoredAs::Encrypted { provider, name, key_id } = stored {
            let named = if is_kms(provider) { &mut document.kms_plugin } else { &mut document.key_name };
            *named = Some(safe(name));
            document.kms_key_id = key_id.map(safe);
        }
        document
    }
}

impl KeyDocument {
    fn of(info: &KeyInfo, opened: u64) -> Self {
        let KeyInfo { provider, name, place } = info;
        Self { provider: provider.to_string(), name: safe(name.as_bytes()), place: place.clone(), opened }
    }
}

fn is_kms(provider: &Provider<'_>) -> bool {
    matches!(provider, Provider::KmsV1 | Provider::KmsV2)
}

fn provider(stored: &StoredAs<'_>) -> String {
    match stored {
        StoredAs::Plain => "identity".to_owned(),
        StoredAs::Encrypted { provider, .. } => provider.to_string(),
        StoredAs::Broken => "unknown".to_owned(),
    }
}

/// `key1`; of a KMS `plugin, key ID`.
fn key_name(stored: &StoredAs<'_>) -> String {
    match stored {
        StoredAs::Encrypted { name, key_id: Some(id), .. } => format!("{}, key {}", safe(name), safe(id)),
        StoredAs::Encrypted { name, .. } => safe(name),
        StoredAs::Plain | StoredAs::Broken => "-".to_owned(),
    }
}

/// `aescbc key1`; of a KMS `kms v2 plugin, key ID`.
fn provider_and_key(stored: &StoredAs<'_>) -> String {
    match stored {
        StoredAs::Encrypted { provider, .. } => format!("{provider} {}", key_name(stored)),
        StoredAs::Plain => "plain text".to_owned(),
        StoredAs::Broken => "a broken header".to_owned(),
    }
}

impl Encryption {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let file = self.reading.only(&self.words)?;
        let keyring = self.decryption.keyring(context)?;
        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        prepare(&snapshot, settings.threads);
        let db = snapshot.db().map_err(OpError::from)?;
        let total = snapshot.source().bytes().len() as u64;
        let request = Request {
            prefixes: self.kubernetes.prefixes(),
            keyring: keyring.as_ref(),
            all_revisions: self.all_revisions,
        };
        let report =
            progress::watch(context, "reading", total, progress::walked, || audit(&db, &request, &settings))?;
        snapshot.source().finish()?;
        if report.rows.is_empty() {
            return Err(Failure::no("this is no store of Kubernetes, or its keys have another prefix")
                .hint("`etcdsnap keys FILE` shows them; --etcd-prefix names the prefix"));
        }
        match self.output {
            PageFormat::Json => write_json(context.out, &self.document(&report, keyring.as_ref()))?,
            PageFormat::Text => self.text(context, &file, &report, keyring.as_ref())?,
        }
        let outcome = if report.locked_count() > 0 { Outcome::No } else { Outcome::Yes };
        Ok(outcome.max(skipped(context, &report.damage)?))
    }

    fn document(&self, report: &Report<'_>, keyring: Option<&Keyring>) -> Document {
        let row = |row: &Row<'_>| RowDocument {
            stored: StoredDocument::of(&row.type_key, &row.stored, row.count),
            locked: keyring.map(|_| row.locked),
            stale: keyring.map(|_| row.stale),
        };
        let opened = |id| report.opened_by.get(&id).copied().unwrap_or_default();
        let locked = |keyring: &Keyring, group: &LockedGroup<'_>| LockedDocument {
            stored: StoredDocument::of(&group.type_key, &group.stored, group.count),
            why: group.why.code(),
            meaning: group.why.to_string(),
            right_key: group.other_key.and_then(|id| Some(KeyDocument::of(keyring.key(id)?, opened(id)))),
            examples: group.examples.iter().map(|key| safe(key)).collect(),
        };
        Document {
            schema_version: SCHEMA_VERSION,
            revision: report.revision,
            all_revisions: self.all_revisions,
            values: report.count(|_| true),
            encrypted: report.count(|row| row.stored.is_encrypted()),
            opens_all: keyring.map(|_| report.locked_count() == 0),
            resources: report.rows.iter().map(row).collect(),
            locked: keyring.map(|keyring| report.locked.iter().map(|group| locked(keyring, group)).collect()),
            keys: keyring
                .map(|keyring| keyring.keys().map(|(id, info)| KeyDocument::of(info, opened(id))).collect()),
        }
    }

    fn text(
        &self,
        context: &mut Context<'_>,
        file: &Path,
        report: &Report<'_>,
        keyring: Option<&Keyring>,
    ) -> Result<(), Failure> {
        let verbose = context.global.verbose;
        let out = &mut *context.out;
        let name = shown(file);
        let encrypted = report.count(|row| row.stored.is_encrypted());
        let values = self.things(report.count(|_| true));
        writeln!(out, "{name}: revision {}, {values}, {} encrypted\n", report.revision, grouped(encrypted))?;

        let sealed = report.rows.iter().filter(|row| row.stored.is_encrypted());
        let sealed: HashSet<_> = sealed.map(|row| row.type_key).collect();
        let (shown, rest): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
            report.rows.iter().partition(|row| verbose || sealed.contains(&row.type_key) || is_telling(row));
        if !shown.is_empty() {
            let mut rows = Rows::default();
            for row in &shown {
                rows.cell(&row.type_key.name());
                rows.cell(&if row.stored.is_encrypted() {
                    provider(&row.stored)
                } else {
                    "plain text".into()
                });
                rows.cell(&key_name(&row.stored));
                rows.cell(&row.count.to_string());
                if keyring.is_some() {
                    rows.cell(&state(row));
                }
            }
            let titles = ["RESOURCE", "STORED AS", "KEY", "COUNT", "WITH THIS KEY FILE"];
            let columns = if keyring.is_some() { titles.len() } else { titles.len() - 1 };
            Columns::new(out, titles.get(..columns).unwrap_or_default()).print(&rows)?;
        }
        if !rest.is_empty() {
            let values = self.things(rest.iter().map(|row| row.count).sum());
            let types = count(rest.len() as u64, "other resource", "other resources");
            let hint = if verbose { "" } else { " (-v lists them)" };
            writeln!(out, "{values} of {types} in plain text{hint}")?;
        }
        if let Some(keyring) = keyring {
            self.keys(out, report, keyring)?;
            self.locked(out, report, keyring, verbose)?;
        }
        writeln!(out, "\n{}", self.sentence(report, keyring, encrypted))?;
        Ok(())
    }

    fn things(&self, number: u64) -> String {
        if self.all_revisions { count(number, "value", "values") } else { count(number, "object", "objects") }
    }

    fn keys(
        &self,
        out: &mut (dyn std::io::Write + Send),
        report: &Report<'_>,
        keyring: &Keyring,
    ) -> Result<(), Failure> {
        if keyring.keys().len() == 0 {
            return Ok(());
        }
        let mut rows = Rows::default();
        for (id, info) in keyring.keys() {
            rows.cell(&format!("{} {}", info.provider, safe(info.name.as_bytes())));
            let is_right = report.locked.iter().any(|group| group.other_key == Some(id));
            rows.cell(&match report.opened_by.get(&id) {
                Some(opened) => opened.to_string(),
                None if is_right => "none, see below".to_owned(),
                None => "none, not needed for this backup".to_owned(),
            });
            rows.cell(&info.place);
        }
        writeln!(out)?;
        Columns::new(out, &["KEY IN THE FILE", "OPENED", "PLACE"]).print(&rows)?;
        Ok(())
    }

    fn locked(
        &self,
        out: &mut (dyn std::io::Write + Send),
        report: &Report<'_>,
        keyring: &Keyring,
        verbose: bool,
    ) -> Result<(), Failure> {
        for group in &report.locked {
            let resource = group.type_key.name();
            let stored = provider_and_key(&group.stored);
            writeln!(out, "\nLOCKED: {} of {resource}, {stored}", self.things(group.count))?;
            writeln!(out, "  Why: {}.", group.why)?;
            let shown = if verbose { group.examples.len() } else { 3 };
            for key in group.examples.iter().take(shown) {
                writeln!(out, "  {}", safe(key))?;
            }
            let keys = group.examples.len().min(shown) as u64;
            if group.count > keys && !self.all_revisions {
                writeln!(out, "  and {} more", grouped(group.count - keys))?;
            }
            match group.other_key.and_then(|id| keyring.key(id)) {
                Some(info) => {
                    let (name, place) = (safe(info.name.as_bytes()), &info.place);
                    writeln!(
                        out,
                        "  What to do: the secret of `{name}` ({place}) is the right one. List it as {stored} in the rule for {resource}."
                    )?;
                }
                None => writeln!(out, "  What to do: {}.", advice(group.why))?,
            }
        }
        Ok(())
    }

    /// The one sentence to read if nothing else is.
    fn sentence(&self, report: &Report<'_>, keyring: Option<&Keyring>, encrypted: u64) -> String {
        let things = self.things(encrypted);
        if keyring.is_none() {
            if encrypted == 0 {
                return format!(
                    "NOT ENCRYPTED: no key file is needed to restore this backup, and whoever has it can read its {}.",
                    count(report.count(|row| row.type_key.name() == "secrets"), "secret", "secrets")
                );
            }
            let keys: BTreeSet<_> = report
                .rows
                .iter()
                .filter(|row| row.stored.is_encrypted())
                .map(|row| provider_and_key(&row.stored))
                .collect();
            let keys = listed(&keys);
            return format!(
                "ENCRYPTED: without their keys ({keys}) {things} of this backup are lost. Whether a key file opens them: add --encryption-config FILE."
            );
        }
        if report.locked.is_empty() {
            let stale: BTreeSet<_> =
                report.rows.iter().filter(|row| row.stale > 0).map(|row| row.type_key.name()).collect();
            let next = match stale.is_empty() || self.all_revisions {
                true => "Keep it as safe as the backup, and not in the same place.".to_owned(),
                false => format!(
                    "Keep it until after the restore all {} are rewritten (kubectl get -A -o json, piped to kubectl replace -f -).",
                    listed(&stale)
                ),
            };
            return match encrypted {
                0 => format!(
                    "NOTHING TO OPEN: no object of this backup is encrypted; it can be restored without this key file. {next}"
                ),
                1 => format!("YES: this key file opens the one encrypted object of this backup. {next}"),
                _ => format!("YES: this key file opens all {things} that are encrypted. {next}"),
            };
        }
        let resources: BTreeSet<_> = report.locked.iter().map(|group| group.type_key.name()).collect();
        let resources = listed(&resources);
        let locked = self.things(report.locked_count());
        if report.locked.iter().all(|group| group.why == Why::Kms) {
            return format!(
                "NOT BY ITSELF: {locked} ({resources}) can only be read with their key management service, and this cannot be tested offline."
            );
        }
        format!(
            "NO: {locked} ({resources}) cannot be read with this key file. An API server that starts with it cannot list {resources}; do not delete any other key file before you have found the right one."
        )
    }
}

/// `a, b and c`; of many the first.
fn listed(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match (shown.split_last(), names.len().saturating_sub(SHOWN)) {
        (_, more @ 1..) => format!("{} and {more} more", shown.join(", ")),
        (Some((last, [])), 0) => (*last).to_owned(),
        (Some((last, rest)), 0) => format!("{} and {last}", rest.join(", ")),
        (None, 0) => String::new(),
    }
}

/// Whether there is something to say about a row of plain text.
fn is_telling(row: &Row<'_>) -> bool {
    row.locked > 0 || row.stale > 0 || row.type_key.name() == "secrets"
}

/// What a key file makes of a row.
fn state(row: &Row<'_>) -> String {
    let is_encrypted = row.stored.is_encrypted();
    let mut parts = Vec::new();
    if row.locked > 0 {
        let what = if is_encrypted { "LOCKED" } else { "REFUSED" };
        parts.push(if row.locked == row.count { what.to_owned() } else { format!("{} {what}", row.locked) });
    } else if is_encrypted {
        parts.push("opens".to_owned());
    }
    if row.stale > 0 {
        let what = if is_encrypted { "not as it would be written now" } else { "would be encrypted now" };
        parts.push(if row.stale == row.count { what.to_owned() } else { format!("{} {what}", row.stale) });
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}
