//! How the objects of a store are encrypted, and whether a key file opens them
//! all.

use std::collections::{BTreeMap, HashMap};

use crate::bolt::Db;
use crate::etcd::record::{Record, RecordFold};
use crate::kube::encryption::{KeyId, Keyring, Why, kms};
use crate::kube::envelope::{Encrypted, Provider};
use crate::kube::registry_key::{Prefixes, RegistryKey};

use super::list::{Listed, Selection, TypeKey, list};
use super::records::{Answer, ask};
use super::{Damage, OpError, Settings};

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Request<'k> {
    /// Where Kubernetes keeps its keys.
    pub prefixes: Prefixes,
    /// The keys to try.
    pub keyring: Option<&'k Keyring>,
    /// Also values that were overwritten or deleted since, as far as they were
    /// not compacted away.
    pub all_revisions: bool,
}

/// How a value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoredAs<'a> {
    /// In plain text.
    Plain,
    /// Encrypted.
    Encrypted {
        /// How.
        provider: Provider<'a>,
        /// Name of the key, or of the KMS plugin.
        name: &'a [u8],
        /// Id of the key of the KMS, where the value tells.
        key_id: Option<&'a [u8]>,
    },
    /// It begins like an encrypted value, and its header is broken.
    Broken,
}

impl<'a> StoredAs<'a> {
    fn of(value: &'a [u8]) -> Self {
        match Encrypted::of(value) {
            None => Self::Plain,
            Some(Ok(encrypted)) => {
                let Encrypted { provider, name, .. } = encrypted;
                Self::Encrypted { provider, name, key_id: kms::key_id(&encrypted) }
            }
            Some(Err(_)) => Self::Broken,
        }
    }

    /// Whether it is not in plain text.
    pub fn is_encrypted(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// In the order of tables: plain text last.
    fn rank(&self) -> (u8, String, &'a [u8], &'a [u8]) {
        match *self {
            Self::Encrypted { provider, name, key_id } => {
                (0, provider.to_string(), name, key_id.unwrap_or_default())
            }
            Self::Broken => (1, String::new(), b"", b""),
            Self::Plain => (2, String::new(), b"", b""),
        }
    }
}

/// The objects of one type that are stored in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Their type.
    pub type_key: TypeKey<'a>,
    /// How they are stored.
    pub stored: StoredAs<'a>,
    /// How many there are.
    pub count: u64,
    /// How many of them a server with the keys could not read. Nothing without
    /// keys.
    pub locked: u64,
    /// How many of them such a server would write in another way: with another
    /// key, encrypted, or in plain text. Nothing without keys.
    pub stale: u64,
}

/// Objects that a server with the keys could not read, all for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedGroup<'a> {
    /// Their type.
    pub type_key: TypeKey<'a>,
    /// How they are stored.
    pub stored: StoredAs<'a>,
    /// Why they cannot be read.
    pub why: Why,
    /// The right key, though it has another name or place.
    pub other_key: Option<KeyId>,
    /// How many there are.
    pub count: u64,
    /// The first of their etcd keys.
    pub examples: Vec<&'a [u8]>,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// The revision of the store.
    pub revision: i64,
    /// By type, then in the way that they are stored.
    pub rows: Vec<Row<'a>>,
    /// What could not be read, in the order of `rows`. Nothing without keys.
    pub locked: Vec<LockedGroup<'a>>,
    /// How many values each key opened; those that opened none are not here.
    pub opened_by: BTreeMap<KeyId, u64>,
    /// Damage that was skipped.
    pub damage: Damage,
}

impl Report<'_> {
    /// How many values of the rows that fit, all told.
    pub fn count(&self, fits: impl Fn(&Row<'_>) -> bool) -> u64 {
        self.rows.iter().filter(|row| fits(row)).map(|row| row.count).sum()
    }

    /// How many values could not be read.
    pub fn locked_count(&self) -> u64 {
        self.rows.iter().map(|row| row.locked).sum()
    }
}

/// Looks how every object of `db` is stored, and with keys whether they open it.
///
/// # Errors
/// A damaged file, unless damage is to be skipped.
pub fn audit<'a>(db: &Db<'a>, request: &Request<'_>, settings: &Settings<'_>) -> Result<Report<'a>, OpError> {
    let auditor = Auditor { prefixes: &request.prefixes, keyring: request.keyring };
    let (tally, revision, damage) = if request.all_revisions {
        let Answer { total, revision, damage, .. } = ask(db, None, settings, |_| auditor)?;
        (total, revision, damage)
    } else {
        let selection = Selection { prefixes: request.prefixes.clone(), ..Selection::default() };
        let listing = list(db, &selection, settings)?;
        let mut total = Tally::default();
        let map = |run: &mut dyn Iterator<Item = Listed<'a>>| {
            let mut part = Tally::default();
            for listed in run {
                if let Some(record) = listed.record() {
                    auditor.take(&mut part, &listed.registry, &record);
                }
            }
            part
        };
        listing.objects(settings.threads, map, |part| total.join(part));
        (total, listing.revision, listing.damage)
    };
    Ok(tally.report(revision, damage))
}

#[derive(Clone, Copy)]
struct Auditor<'k> {
    prefixes: &'k Prefixes,
    keyring: Option<&'k Keyring>,
}

type Kind<'a> = (TypeKey<'a>, StoredAs<'a>);

/// What a run of values amounts to.
#[derive(Default)]
struct Tally<'a> {
    rows: HashMap<Kind<'a>, Counts>,
    locked: HashMap<(Kind<'a>, Why, Option<KeyId>), Examples<'a>>,
    opened_by: BTreeMap<KeyId, u64>,
}

#[derive(Default)]
struct Counts {
    count: u64,
    locked: u64,
    stale: u64,
}

#[derive(Default)]
struct Examples<'a> {
    count: u64,
    keys: Vec<&'a [u8]>,
}

impl Auditor<'_> {
    fn take<'a>(&self, tally: &mut Tally<'a>, registry: &RegistryKey<'a>, record: &Record<'a>) {
        let (key, value) = (record.kv.key, record.kv.value);
        let stored = StoredAs::of(value);
        // What a server keeps for itself was encrypted too before 1.27.
        if !stored.is_encrypted() && registry.object().is_none() {
            return;
        }
        let kind = (TypeKey::of(registry), stored);
        let counts = tally.rows.entry(kind).or_default();
        add(&mut counts.count, 1);
        let Some(keyring) = self.keyring else { return };
        match keyring.open_at(registry, key, value) {
            Ok(opened) => {
                add(&mut counts.stale, u64::from(opened.stale));
                if let Some(id) = opened.key {
                    add(tally.opened_by.entry(id).or_default(), 1);
                }
            }
            Err(locked) => {
                add(&mut counts.locked, 1);
                let examples = tally.locked.entry((kind, locked.why, locked.other_key)).or_default();
                add(&mut examples.count, 1);
                examples.keep(key);
            }
        }
    }
}

impl<'a> Examples<'a> {
    /// How many keys are kept of each group.
    const KEPT: usize = 100;

    fn keep(&mut self, key: &'a [u8]) {
        // One key has many revisions, and they need not stand together.
        if self.keys.len() < Self::KEPT && !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

impl<'a> Tally<'a> {
    fn join(&mut self, later: Self) {
        for (kind, Counts { count, locked, stale }) in later.rows {
            let sum = self.rows.entry(kind).or_default();
            add(&mut sum.count, count);
            add(&mut sum.locked, locked);
            add(&mut sum.stale, stale);
        }
        for (group, Examples { count, keys }) in later.locked {
            let sum = self.locked.entry(group).or_default();
            add(&mut sum.count, count);
            keys.into_iter().for_each(|key| sum.keep(key));
        }
        for (key, count) in later.opened_by {
            add(self.opened_by.entry(key).or_default(), count);
        }
    }

    fn report(self, revision: i64, damage: Damage) -> Report<'a> {
        let rows = self.rows.into_iter().map(|((type_key, stored), Counts { count, locked, stale })| Row {
            type_key,
            stored,
            count,
            locked,
            stale,
        });
        let locked = self.locked.into_iter().map(|(((type_key, stored), why, other_key), examples)| {
            let Examples { count, keys } = examples;
            LockedGroup { type_key, stored, why, other_key, count, examples: keys }
        });
        let (mut rows, mut locked): (Vec<_>, Vec<_>) = (rows.collect(), locked.collect());
        rows.sort_by_cached_key(|row| (row.type_key, row.stored.rank()));
        locked.sort_by_cached_key(|group| (group.type_key, group.stored.rank(), group.why, group.other_key));
        Report { revision, rows, locked, opened_by: self.opened_by, damage }
    }
}

impl<'a> RecordFold<'a> for Auditor<'_> {
    type Part = Tally<'a>;
    type Total = Tally<'a>;

    fn total(&self) -> Tally<'a> {
        Tally::default()
    }

    fn part(&self) -> Tally<'a> {
        Tally::default()
    }

    fn record(&self, part: &mut Tally<'a>, record: &Record<'a>) {
        if record.tombstone {
            return;
        }
        let registry = RegistryKey::parse(record.kv.key, self.prefixes);
        if !matches!(registry, RegistryKey::Other) || self.prefixes.strip(record.kv.key).is_some() {
            self.take(part, &registry, record);
        }
    }

    fn join(&self, total: &mut Tally<'a>, part: Tally<'a>) {
        total.join(part);
    }
}
