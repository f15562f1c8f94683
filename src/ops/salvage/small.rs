//! The small buckets: as they are, or from older copies of the root, or put together
//! from entries that are known by their form.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::bolt::{Bucket, BucketRoot, Db, Excerpt, Image, LeafElement, Surveyor, buckets_of_root};
use crate::codec::fixed::u64_be;
use crate::codec::protobuf::Writer;
use crate::etcd::auth::User;
use crate::etcd::remnant::{EntryKind, Form, Spot};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::schema;

use super::history::Compacted;
use super::remains::RootLeaf;
use super::report::{BrokenEntry, BucketState, Log, SmallBucket};

/// Seconds to live of a lease that was lost while keys are attached to it: long enough
/// for its owner to renew it or take another.
pub const LEASE_SECONDS: i64 = 86_400;

/// The entries of a bucket, borrowed from the file where they are as they were.
pub(super) type Entries<'a> = BTreeMap<Cow<'a, [u8]>, Cow<'a, [u8]>>;

/// The small buckets to be written.
#[derive(Debug, Default)]
pub(super) struct Small<'a> {
    pub(super) buckets: BTreeMap<Vec<u8>, (u64, Entries<'a>)>,
    pub(super) told: Vec<SmallBucket>,
    pub(super) foreign: Log<Excerpt>,
    /// Entries that were left out, as they are not what their bucket holds.
    pub(super) broken: Log<BrokenEntry>,
    /// Whether what bucket `meta` says of compactions is all that it said.
    pub(super) compaction_is_whole: bool,
    pub(super) leases_made: u64,
    pub(super) auth_disabled: bool,
}

/// What a bucket came to.
struct Read<'a> {
    sequence: u64,
    entries: Entries<'a>,
    intact: bool,
}

/// Reads the small buckets below the root of `db`, if there is one.
pub(super) fn read<'a>(db: Option<&Db<'a>>, surveyor: &Surveyor<'a>) -> Small<'a> {
    let mut small = Small::default();
    let Some(db) = db else { return small };
    let (buckets, _) = buckets_of_root(db);
    for bucket in buckets.iter().filter(|bucket| bucket.name != schema::KEY) {
        let read = read_bucket(bucket, surveyor, &mut small.foreign);
        let state = if read.intact { BucketState::Intact } else { BucketState::Partial };
        small.compaction_is_whole |= bucket.name == schema::META && read.intact;
        small.put(bucket.name, state, read.sequence, read.entries);
    }
    let has_members = small.buckets.get(schema::MEMBERS).is_some_and(|(_, members)| !members.is_empty());
    if has_members && !small.buckets.contains_key(schema::META) {
        // Every etcd makes it first: it is there under another name, or was.
        small.put(schema::META, BucketState::Partial, 0, Entries::new());
    }
    small
}

fn read_bucket<'a>(bucket: &Bucket<'a>, surveyor: &Surveyor<'a>, foreign: &mut Log<Excerpt>) -> Read<'a> {
    let mut read = Read { sequence: bucket.sequence, entries: Entries::new(), intact: true };
    let survey = surveyor.bucket(bucket.root, |elements, whole| {
        for element in elements {
            let fits = whole || fits(bucket.name, element);
            if element.is_bucket {
                foreign.push(Excerpt::of(element.key()));
            } else if fits {
                read.entries.insert(element.key().into(), element.value().into());
            }
        }
    });
    read.intact = survey.is_whole();
    read
}

/// Whether an entry has the form of those in its bucket. Of buckets that are not known
/// nothing can be said.
fn fits(bucket: &[u8], element: &LeafElement<'_>) -> bool {
    EntryKind::of_bucket(bucket).is_none_or(|kind| kind.accepts(element.key(), element.value()))
}

impl<'a> Small<'a> {
    fn put(&mut self, name: &[u8], state: BucketState, sequence: u64, entries: Entries<'a>) {
        let count = entries.len() as u64;
        let told = SmallBucket { name: name.to_vec(), state, entries: count };
        match self.told.iter_mut().find(|told| told.name == name) {
            Some(before) => *before = told,
            None => self.told.push(told),
        }
        self.buckets.insert(name.to_vec(), (sequence, entries));
    }

    /// Says that all of it is from an older root.
    pub(super) fn is_older(&mut self) {
        self.compaction_is_whole = false;
        for told in &mut self.told {
            told.state = BucketState::Older;
        }
    }

    /// Whether all buckets that were found are as they were.
    pub(super) fn is_intact(&self) -> bool {
        self.told.iter().all(|told| told.state == BucketState::Intact)
    }

    pub(super) fn state(&self, name: &[u8]) -> Option<BucketState> {
        self.told.iter().find(|told| told.name == name).map(|told| told.state)
    }

    /// Fills in what is not intact: from `roots`, the newest first, then from single
    /// `entries`. `all_named`: a bucket that was not met was not there.
    pub(super) fn complete(
        &mut self,
        image: &Image<'a>,
        file: &'a [u8],
        roots: &[RootLeaf],
        entries: &[Spot],
        all_named: bool,
    ) {
        // The newest of them that has the bucket will do. Trees are longer than pages.
        const TRIED: usize = 16;
        const TREES: usize = 2;
        let names = schema::BUCKETS.iter().filter(|name| **name != schema::TEST && **name != schema::KEY);
        for name in names {
            let state = self.state(name);
            let has_it = matches!(state, Some(BucketState::Intact | BucketState::Older));
            if has_it || all_named && state.is_none() {
                continue;
            }
            let tried = roots.iter().take(TRIED).enumerate();
            let older = tried.into_iter().find_map(|(index, root)| {
                // Of a page that was moved, nothing that it leads to is where it was.
                let trees = index < TREES && root.page.is_some();
                older(image, file, root, name, trees)
            });
            let (sequence, here) = self.buckets.remove(*name).unwrap_or_default();
            let (mut all, mut told) = match (older, state) {
                (Some(older), _) => (older, BucketState::Older),
                (None, Some(_)) if !here.is_empty() => (Entries::new(), BucketState::Partial),
                _ => (Entries::new(), BucketState::Empty),
            };
            if told != BucketState::Older {
                for spot in entries {
                    if matches!(spot.form, Form::Entry(kind) if kind.bucket() == *name)
                        && let Some((key, value)) =
                            spot.bytes(file).split_at_checked(spot.key_length as usize)
                        && !key.is_empty()
                    {
                        // Nothing says which copy is the newer; what `meta` counts only grows.
                        let newer = |before: &Cow<'_, [u8]>| *name != schema::META || value > &**before;
                        if all.get(key).is_none_or(newer) {
                            all.insert(key.into(), value.into());
                        }
                        told = BucketState::Entries;
                    }
                }
            }
            all.extend(here);
            self.put(name, told, sequence, all);
        }
    }

    /// The entries of a bucket, which is made if it is not there.
    fn bucket(&mut self, name: &[u8]) -> &mut Entries<'a> {
        &mut self.buckets.entry(name.to_vec()).or_default().1
    }

    fn value(&self, bucket: &[u8], key: &[u8]) -> Option<&[u8]> {
        self.buckets.get(bucket)?.1.get(key).map(AsRef::as_ref)
    }

    /// The compact revision.
    pub(super) fn compacted(&self) -> Compacted {
        let at = self.compaction(schema::SCHEDULED_COMPACT).max(self.compaction(schema::FINISHED_COMPACT));
        Compacted { at: at.unwrap_or(0), known: self.compaction_is_whole }
    }

    /// The main revision that an entry of bucket `meta` names.
    pub(super) fn compaction(&self, key: &[u8]) -> Option<i64> {
        let value = self.value(schema::META, key)?;
        RevisionKey::parse(value).ok().map(|key| key.revision.main)
    }

    /// The raft index of the last entry that the database has.
    pub(super) fn index(&self) -> u64 {
        self.value(schema::META, schema::CONSISTENT_INDEX).and_then(|value| u64_be(value, 0)).unwrap_or(0)
    }

    /// Says that the store is compacted at `at`.
    pub(super) fn compact(&mut self, at: i64) {
        let key = RevisionKey { revision: Revision { main: at, sub: 0 }, tombstone: false }.to_bytes();
        let meta = self.bucket(schema::META);
        meta.insert(schema::SCHEDULED_COMPACT.into(), key.clone().into());
        meta.insert(schema::FINISHED_COMPACT.into(), key.into());
    }

    /// Makes the leases that keys are attached to, if theirs were lost, and of a bucket
    /// that was lost keeps no others.
    pub(super) fn leases(&mut self, attached: &[i64]) {
        if self.state(schema::LEASE).is_none_or(|state| state == BucketState::Intact) {
            return;
        }
        let mut made = 0u64;
        let leases = self.bucket(schema::LEASE);
        leases.retain(|key, _| {
            crate::codec::fixed::i64_be(key, 0).is_some_and(|id| attached.binary_search(&id).is_ok())
        });
        for id in attached {
            leases.entry(id.to_be_bytes().to_vec().into()).or_insert_with(|| {
                made = made.saturating_add(1);
                let ttl = LEASE_SECONDS.cast_unsigned();
                Writer::new().varint(1, id.cast_unsigned()).varint(2, ttl).finish().into()
            });
        }
        let count = leases.len() as u64;
        if let Some(told) = self.told.iter_mut().find(|told| told.name == schema::LEASE) {
            told.entries = count;
        }
        self.leases_made = made;
    }

    /// What etcd needs to start, and an operator to get in, where it was lost.
    pub(super) fn make_usable(&mut self) {
        if self.state(schema::META) != Some(BucketState::Intact) {
            let version = self.value(schema::CLUSTER, schema::CLUSTER_VERSION);
            let version = version.and_then(minor_version);
            let meta = self.bucket(schema::META);
            for key in [schema::CONSISTENT_INDEX, schema::TERM] {
                // A restore writes both anew.
                meta.entry(key.into()).or_insert_with(|| 1u64.to_be_bytes().to_vec().into());
            }
            if let Some(minor) = version.filter(|minor| *minor >= 6) {
                let storage = format!("3.{minor}.0").into_bytes();
                meta.entry(schema::STORAGE_VERSION.into()).or_insert(storage.into());
            }
        }
        let intact = [schema::AUTH, schema::AUTH_USERS, schema::AUTH_ROLES]
            .iter()
            .all(|name| self.state(name).is_none_or(|state| state == BucketState::Intact));
        let enabled = self.value(schema::AUTH, schema::AUTH_ENABLED).is_some_and(|value| value == [1]);
        if enabled && !intact && !self.has_root() {
            self.bucket(schema::AUTH).insert(schema::AUTH_ENABLED.into(), vec![0].into());
            self.auth_disabled = true;
        }
    }

    fn has_root(&self) -> bool {
        let root = self.value(schema::AUTH_USERS, b"root").and_then(|value| User::parse(value).ok());
        root.is_some_and(|user| user.roles.iter().any(|role| role == b"root"))
    }
}

/// The minor version of `3.MINOR.PATCH`.
fn minor_version(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.strip_prefix("3.")?.split('.').next()?.parse().ok()
}

/// Bucket `name` as an older root has it, if all of it is still there.
fn older<'a>(
    image: &Image<'a>,
    file: &'a [u8],
    root: &RootLeaf,
    name: &[u8],
    trees: bool,
) -> Option<Entries<'a>> {
    let leaf = root.elements(file);
    let element = leaf.iter().find(|element| element.key == name && element.missing == 0)?;
    let bucket = element.bucket()?;
    // Its tree may have given its pages to another bucket since.
    let inline = matches!(bucket, BucketRoot::Inline { .. });
    if !inline && !trees {
        return None;
    }
    let mut entries = Entries::new();
    let mut fitting = true;
    let survey = Surveyor::new(*image).bucket(bucket, |elements, _| {
        for element in elements {
            fitting &= !element.is_bucket && (inline || fits(name, element));
            if fitting {
                entries.insert(element.key().into(), element.value().into());
            }
        }
    });
    (fitting && survey.is_whole()).then_some(entries)
}
