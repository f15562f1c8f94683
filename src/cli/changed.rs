//! What a database written anew has of the old one, in words and as JSON.

use std::io::{self, Write};

use std::collections::BTreeMap;

use etcdsnap::ops::rebuild::{Bereft, ConcernLog, LeftOut, LeftOutLog, Outcome, Reason, Unmatched};
use serde::Serialize;

use super::output::shell::quoted;
use super::output::size::{grouped, humanized};
use super::output::text::{count, safe};

/// A warning's stable name, and what it says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remark {
    code: &'static str,
    pub(crate) text: String,
}

impl Remark {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The name and the text.
    pub(crate) fn into_parts(self) -> (&'static str, String) {
        (self.code, self.text)
    }
}

/// `1 entry`, `12 entries`.
pub(crate) fn entries(number: u64) -> String {
    count(number, "entry", "entries")
}

fn number(number: i64) -> String {
    grouped(number.unsigned_abs())
}

/// A figure after the changes, and before them if it was another.
fn changed(after: String, before: String) -> String {
    if after == before {
        format!("{after}, as in the source")
    } else {
        format!("{after} (in the source {before})")
    }
}

fn reason(left_out: &LeftOut) -> String {
    let subject = safe(&left_out.subject);
    match left_out.reason {
        Reason::Prefix => format!("begins with {subject}"),
        Reason::NotKept => "begins with no prefix that is kept".to_owned(),
        Reason::Resource => format!("is of type {subject}"),
        Reason::Namespace => format!("is in namespace {subject}"),
        Reason::Lease => "is attached to a lease that is revoked".to_owned(),
    }
}

/// A page of what is different.
pub(crate) fn text(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let compact = |revision: Option<i64>| revision.map_or_else(|| "none".to_owned(), number);
    let (before, after) = outcome.revision;
    writeln!(out, "  revision      {}", changed(number(after), number(before)))?;
    let (before, after) = outcome.compact_revision;
    writeln!(out, "  compacted at  {}", changed(compact(after), compact(before)))?;
    let (before, after) = outcome.live_keys;
    writeln!(out, "  live keys     {}", changed(grouped(after), grouped(before)))?;
    let (before, after) = outcome.records;
    writeln!(out, "  records       {}", changed(grouped(after), grouped(before)))?;
    let (before, after) = outcome.size;
    writeln!(out, "  database      {}", changed(humanized(after), humanized(before)))?;
    if outcome.leases_removed > 0 || outcome.expired.keys > 0 || outcome.keys_detached > 0 {
        let keys = match (outcome.expired.keys, outcome.keys_detached) {
            (0, detached) => format!("{} detached", count(detached, "key", "keys")),
            (expired, _) => format!("{} deleted with them", count(expired, "key", "keys")),
        };
        writeln!(out, "  leases        {} removed, {keys}", grouped(outcome.leases_removed))?;
    }
    if outcome.auth_disabled {
        writeln!(out, "  auth          turned off; users and roles stay")?;
    }
    if outcome.root_password {
        writeln!(out, "  user root     has the password of the hash given, and role root")?;
    }
    let left_out = &outcome.left_out;
    if left_out.keys > 0 {
        let (keys, size) = (count(left_out.keys, "key", "keys"), humanized(left_out.bytes));
        writeln!(out, "\nLEFT OUT: {keys}, {size} of values. The result is not the whole cluster.")?;
        kinds(out, left_out)?;
    }
    let expired = &outcome.expired;
    if expired.keys > 0 {
        let (keys, size) = (count(expired.keys, "key", "keys"), humanized(expired.bytes));
        writeln!(out, "\nDELETED WITH THEIR LEASES: {keys}, {size} of values")?;
        kinds(out, expired)?;
    }
    let concerns = &outcome.concerns;
    concern(
        out,
        "Volumes that the cluster would DELETE WITH THEIR DATA, for want of their claims",
        &concerns.reclaimed,
    )?;
    concern(
        out,
        "Volumes that cannot be read, and that the cluster may DELETE WITH THEIR DATA, for want of their claims",
        &concerns.unreadable_volumes,
    )?;
    concern(out, "Objects that the cluster would delete, for want of their owners", &concerns.orphans)?;
    let concerned = [&concerns.reclaimed, &concerns.unreadable_volumes, &concerns.orphans];
    if left_out.keys > 0 || expired.keys > 0 || concerned.iter().any(|log| log.count > 0) {
        writeln!(out)?;
    }
    Ok(())
}

fn kinds(out: &mut dyn Write, log: &LeftOutLog) -> io::Result<()> {
    for kind in &log.kinds {
        let (keys, resource) = (grouped(kind.keys), safe(kind.resource.as_bytes()));
        writeln!(out, "  {keys:>9}  {resource}: {}", reason(kind))?;
    }
    if log.further_keys > 0 {
        writeln!(out, "  {:>9}  of further kinds", grouped(log.further_keys))?;
    }
    Ok(())
}

fn concern(out: &mut dyn Write, title: &str, log: &ConcernLog) -> io::Result<()> {
    const SHOWN: usize = 20;
    if log.count == 0 {
        return Ok(());
    }
    writeln!(out, "\n{title}: {}", grouped(log.count))?;
    for concern in log.first.iter().take(SHOWN) {
        let (object, needs) = (safe(concern.object.as_bytes()), safe(concern.needs.as_bytes()));
        match needs.as_str() {
            "" => writeln!(out, "  {object}")?,
            needs => writeln!(out, "  {object} needs {needs}")?,
        }
    }
    let rest = log.count.saturating_sub(log.first.len().min(SHOWN) as u64);
    if rest > 0 {
        writeln!(out, "  and {} more (-o json shows up to a thousand)", grouped(rest))?;
    }
    Ok(())
}

/// Where an operator would walk into a trap; `file` is what the command calls the file
/// that it reads.
pub(crate) fn warnings(outcome: &Outcome, file: &str) -> Vec<Remark> {
    let mut warnings = Vec::new();
    let shown = |bytes: &[u8]| safe(bytes);
    for part in &outcome.unmatched {
        let text = match part {
            Unmatched::KeepPrefix(prefix) => {
                format!("no key begins with {}, which is to be kept", shown(prefix))
            }
            Unmatched::DropPrefix(prefix) => {
                format!("no key begins with {}, which is to be dropped", shown(prefix))
            }
            Unmatched::DropType(dropped) => {
                let group =
                    if dropped.group.is_empty() { String::new() } else { format!(".{}", dropped.group) };
                format!("there are no objects of type {}{group}", dropped.plural)
            }
            Unmatched::IncludeNamespace(pattern) => {
                format!("no namespace fits {}, which is to be kept", safe(pattern.text().as_bytes()))
            }
            Unmatched::ExcludeNamespace(pattern) => {
                format!("no namespace fits {}, which is to be dropped", safe(pattern.text().as_bytes()))
            }
        };
        warnings.push(Remark::new("fits-nothing", text));
    }
    if !outcome.unmatched.is_empty() && outcome.left_out.keys == 0 {
        warnings.push(Remark::new(
            "nothing-left-out",
            format!("NOTHING IS LEFT OUT: no key that is alive fits what is to go. If that is not what was expected, look at the names: `etcdsnap list {file}`, `etcdsnap keys {file}`"),
        ));
    }
    if !outcome.is_faithful() {
        let text = format!("{}: the result is not the cluster that was saved", differences(outcome));
        warnings.push(Remark::new("not-faithful", text));
    }
    if outcome.concerns.unreadable > 0 {
        let objects = count(outcome.concerns.unreadable, "object", "objects");
        warnings.push(Remark::new(
            "not-looked-into",
            format!(
                "{objects} could not be looked into: whether they own, or are owned by, something that goes is not known. If they are encrypted, give --encryption-config to open them"
            ),
        ));
    }
    warnings.extend(bereft(outcome));
    if outcome.keys_of_missing_leases > 0 {
        let keys = count(outcome.keys_of_missing_leases, "key", "keys");
        warnings.push(Remark::new(
            "lease-missing",
            format!("{keys} attached to leases that are not there: etcd never deletes them, and neither does --expire-leases"),
        ));
    }
    warnings
}

/// Objects that stay and that nobody can use as they are.
fn bereft(outcome: &Outcome) -> Vec<Remark> {
    let mut warnings = Vec::new();
    let objects = |bereft: &Bereft| count(bereft.count, "object", "objects");
    let names = |bereft: &Bereft| {
        let named =
            |(name, objects): (&String, &u64)| format!("{} {}", safe(name.as_bytes()), grouped(*objects));
        let mut names: Vec<_> = bereft.by_name.iter().take(NAMED).map(named).collect();
        names.extend((bereft.by_name.len() > NAMED).then(|| "...".to_owned()));
        names.join(", ")
    };
    let arguments = |bereft: &Bereft| {
        let mut names: Vec<_> = bereft.by_name.keys().take(NAMED).map(String::as_str).collect();
        names.extend((bereft.by_name.len() > NAMED).then_some("..."));
        quoted(names.join(",").as_bytes())
    };
    let stay = &outcome.concerns.without_namespace;
    if stay.count > 0 {
        warnings.push(Remark::new(
            "namespaces-left-out",
            format!(
                "OBJECTS STAY WITHOUT THEIR NAMESPACE: {} in {} left out ({}). Nothing new can be made there: a pod that ends has no successor. `kubectl create namespace NAME` for each once the API server is up, or leave their objects out in their place: --exclude-namespaces {}",
                objects(stay),
                count(stay.by_name.len() as u64, "namespace that is", "namespaces that are"),
                names(stay),
                arguments(stay),
            ),
        ));
    }
    let stay = &outcome.concerns.without_definition;
    if stay.count > 0 {
        warnings.push(Remark::new(
            "definitions-left-out",
            format!(
                "CUSTOM RESOURCES STAY WITHOUT THEIR DEFINITIONS: {} of {} left out ({}). No client can reach them: the API server serves no type that is not defined. Apply the definitions again once it is up, and the objects are there as they were; or leave them out as well: --drop-resource {}",
                objects(stay),
                count(stay.by_name.len() as u64, "type whose definition is", "types whose definitions are"),
                names(stay),
                arguments(stay),
            ),
        ));
    }
    warnings
}

/// Names that a warning shows at most.
const NAMED: usize = 5;

/// What a client would see of the changes, in one line.
fn differences(outcome: &Outcome) -> String {
    let mut parts = Vec::new();
    let mut add = |number: u64, one: &str, many: &str, what: &str| {
        parts.extend((number > 0).then(|| count(number, one, many) + what));
    };
    add(outcome.left_out.keys, "key is", "keys are", " left out");
    add(outcome.leases_removed, "lease is", "leases are", " removed");
    add(outcome.expired.keys, "key is", "keys are", " deleted with their leases");
    add(outcome.keys_detached, "key has", "keys have", " no lease any more");
    parts.extend(outcome.auth_disabled.then(|| "authentication is off".to_owned()));
    parts.extend(outcome.root_password.then(|| "user root has another password".to_owned()));
    parts.join(", ")
}

/// What is different, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangedDocument {
    revision_before: i64,
    revision_after: i64,
    compact_revision_before: Option<i64>,
    compact_revision_after: Option<i64>,
    live_keys_before: u64,
    live_keys_after: u64,
    records_before: u64,
    records_after: u64,
    db_size_before: u64,
    db_size_after: u64,
    leases_removed: u64,
    keys_expired: u64,
    keys_detached: u64,
    auth_disabled: bool,
    root_password: bool,
    left_out_keys: u64,
    left_out_bytes: u64,
    left_out: Vec<LeftOutDocument>,
    /// What is deleted with its lease.
    expired: Vec<LeftOutDocument>,
    reclaimed: ConcernsDocument,
    /// Volumes that may be among them.
    unreadable_volumes: ConcernsDocument,
    orphans: ConcernsDocument,
    without_namespace: BereftDocument,
    without_definition: BereftDocument,
    not_looked_into: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeftOutDocument {
    reason: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    subject: String,
    resource: String,
    keys: u64,
    bytes: u64,
}

impl LeftOutDocument {
    fn all_of(log: &LeftOutLog) -> Vec<Self> {
        let document = |kind: &LeftOut| Self {
            reason: match kind.reason {
                Reason::Prefix => "prefix",
                Reason::NotKept => "not-kept",
                Reason::Resource => "resource",
                Reason::Namespace => "namespace",
                Reason::Lease => "lease",
            },
            subject: safe(&kind.subject),
            resource: kind.resource.clone(),
            keys: kind.keys,
            bytes: kind.bytes,
        };
        log.kinds.iter().map(document).collect()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConcernsDocument {
    count: u64,
    first: Vec<ConcernDocument>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConcernDocument {
    object: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    needs: String,
}

/// Objects without what they need, by its name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BereftDocument {
    count: u64,
    by_name: BTreeMap<String, u64>,
}

impl BereftDocument {
    fn of(bereft: &Bereft) -> Self {
        let by_name = bereft.by_name.iter().map(|(name, objects)| (safe(name.as_bytes()), *objects));
        Self { count: bereft.count, by_name: by_name.collect() }
    }
}

impl ConcernsDocument {
    fn of(log: &ConcernLog) -> Self {
        let document = |concern: &etcdsnap::ops::rebuild::Concern| ConcernDocument {
            object: concern.object.clone(),
            needs: concern.needs.clone(),
        };
        Self { count: log.count, first: log.first.iter().map(document).collect() }
    }
}

impl ChangedDocument {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self {
            revision_before: outcome.revision.0,
            revision_after: outcome.revision.1,
            compact_revision_before: outcome.compact_revision.0,
            compact_revision_after: outcome.compact_revision.1,
            live_keys_before: outcome.live_keys.0,
            live_keys_after: outcome.live_keys.1,
            records_before: outcome.records.0,
            records_after: outcome.records.1,
            db_size_before: outcome.size.0,
            db_size_after: outcome.size.1,
            leases_removed: outcome.leases_removed,
            keys_expired: outcome.expired.keys,
            keys_detached: outcome.keys_detached,
            auth_disabled: outcome.auth_disabled,
            root_password: outcome.root_password,
            left_out_keys: outcome.left_out.keys,
            left_out_bytes: outcome.left_out.bytes,
            left_out: LeftOutDocument::all_of(&outcome.left_out),
            expired: LeftOutDocument::all_of(&outcome.expired),
            reclaimed: ConcernsDocument::of(&outcome.concerns.reclaimed),
            unreadable_volumes: ConcernsDocument::of(&outcome.concerns.unreadable_volumes),
            orphans: ConcernsDocument::of(&outcome.concerns.orphans),
            without_namespace: BereftDocument::of(&outcome.concerns.without_namespace),
            without_definition: BereftDocument::of(&outcome.concerns.without_definition),
            not_looked_into: outcome.concerns.unreadable,
        }
    }
}
