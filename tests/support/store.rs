//! etcd content on top of the pages: records, leases, members, positions.

use std::collections::BTreeMap;

use super::{Entry, NO_FREELIST, Pages, bucket, entry, inline_bucket, seal, tree_bucket};

pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A protobuf message of varints (`Ok`) and bytes (`Err`), zero values left out.
pub fn message(fields: &[(u64, Result<i64, &[u8]>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, value) in fields {
        match value {
            Ok(0) | Err([]) => {}
            Ok(value) => {
                varint(number << 3, &mut out);
                varint(*value as u64, &mut out);
            }
            Err(bytes) => {
                varint(number << 3 | 2, &mut out);
                varint(bytes.len() as u64, &mut out);
                out.extend_from_slice(bytes);
            }
        }
    }
    out
}

pub fn revision(main: i64, sub: i64) -> Vec<u8> {
    [&main.to_be_bytes()[..], b"_", &sub.to_be_bytes()].concat()
}

/// A write: the fields of `KeyValue`.
#[derive(Debug, Clone, Copy)]
pub struct Put<'p> {
    pub key: &'p [u8],
    pub create: i64,
    pub modified: i64,
    pub version: i64,
    pub value: &'p [u8],
    pub lease: i64,
}

impl Put<'_> {
    pub fn to_bytes(self) -> Vec<u8> {
        message(&[
            (1, Err(self.key)),
            (2, Ok(self.create)),
            (3, Ok(self.modified)),
            (4, Ok(self.version)),
            (5, Err(self.value)),
            (6, Ok(self.lease)),
        ])
    }
}

/// The entry of a put.
pub fn put(key: &str, main: i64, create: i64, version: i64) -> Entry {
    leased(key, main, create, version, 0)
}

/// The entry of a put under a lease.
pub fn leased(key: &str, main: i64, create: i64, version: i64, lease: i64) -> Entry {
    let value = format!("value of {key} at {main}");
    let kv = Put { key: key.as_bytes(), create, modified: main, version, value: value.as_bytes(), lease };
    entry(revision(main, 0), kv.to_bytes())
}

/// The entry of a deletion.
pub fn deletion(key: &str, main: i64) -> Entry {
    entry([revision(main, 0).as_slice(), b"t"].concat(), message(&[(1, Err(key.as_bytes()))]))
}

/// The entry of a lease of an hour.
pub fn lease(id: i64) -> Entry {
    entry(id.to_be_bytes(), message(&[(1, Ok(id)), (2, Ok(3600))]))
}

/// The entry of a member with one peer URL.
pub fn member(id: u64, name: &str, learner: bool) -> Entry {
    let learner = if learner { ",\"isLearner\":true" } else { "" };
    let json =
        format!("{{\"id\":{id},\"peerURLs\":[\"http://10.0.0.{id}:2380\"]{learner},\"name\":\"{name}\"}}");
    entry(format!("{id:x}"), json)
}

/// What is to be in the file, and how it is laid out.
#[derive(Debug, Clone)]
pub struct Store {
    pub page_size: usize,
    /// At most so many bytes to a leaf of bucket `key`.
    pub leaf_bytes: usize,
    /// At most so many children to a branch of it.
    pub fan_out: usize,
    /// Whether bucket `key` is inline.
    pub key_inline: bool,
    /// `None`: no list of free pages; else whether it has the long form.
    pub freelist: Option<bool>,
    pub key: Vec<Entry>,
    pub small: BTreeMap<&'static str, Vec<Entry>>,
}

/// A file that was built, and where its pages are.
#[derive(Debug, Clone)]
pub struct Built {
    pub file: Vec<u8>,
    pub page_size: usize,
    /// The leaf with the names of the buckets.
    pub root: u64,
    /// Pages of bucket `key`: the leaves, then each level above them.
    pub levels: Vec<Vec<u64>>,
    /// A page that nothing uses.
    pub stale: u64,
    pub freelist: u64,
}

impl Store {
    /// A store of etcd 3.6 with `records` writes, compacted at 5. Every key is
    /// written again each ten revisions, one is deleted and born again.
    pub fn sample(records: i64) -> Self {
        let mut key = Vec::new();
        let mut lives: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for main in 2..2 + records {
            let name = format!("k{:02}", main % 10);
            if main % 23 == 7 && lives.remove(&name).is_some() {
                key.push(deletion(&name, main));
                continue;
            }
            let life = lives.entry(name.clone()).or_insert((main, 0));
            life.1 += 1;
            key.push(leased(&name, main, life.0, life.1, if main % 10 == 3 { 77 } else { 0 }));
        }
        let meta = vec![
            entry("confState", "{\"voters\":[1,2,3],\"auto_leave\":false}"),
            entry("consistent_index", 99u64.to_be_bytes()),
            entry("finishedCompactRev", revision(5, 0)),
            entry("scheduledCompactRev", revision(5, 0)),
            entry("storageVersion", "3.6.0"),
            entry("term", 3u64.to_be_bytes()),
        ];
        let small = BTreeMap::from([
            ("alarm", Vec::new()),
            ("auth", vec![entry("authEnabled", [0]), entry("authRevision", 1u64.to_be_bytes())]),
            ("authRoles", Vec::new()),
            ("authUsers", Vec::new()),
            ("cluster", vec![entry("clusterVersion", "3.6.0")]),
            ("lease", vec![lease(77)]),
            ("members", vec![member(1, "a", false), member(2, "b", false), member(3, "c", false)]),
            ("members_removed", vec![entry("4", "removed")]),
            ("meta", meta),
        ]);
        Self { page_size: 1024, leaf_bytes: 400, fan_out: 4, key_inline: false, freelist: None, key, small }
    }

    /// The entries of a small bucket.
    pub fn of(&mut self, bucket: &'static str) -> &mut Vec<Entry> {
        self.small.entry(bucket).or_default()
    }

    /// The value of an entry of a small bucket.
    pub fn value(&mut self, bucket: &'static str, key: &str) -> &mut Vec<u8> {
        let entries = self.of(bucket).iter_mut();
        &mut entries.into_iter().find(|entry| entry.key == key.as_bytes()).expect("there").value
    }

    pub fn build(&self) -> Built {
        let mut pages = Pages::new(self.page_size);
        let mut levels = Vec::new();
        let key = if self.key_inline {
            inline_bucket(&self.key)
        } else {
            levels = pages.tree(&self.key, self.leaf_bytes, self.fan_out);
            tree_bucket(levels[levels.len() - 1][0])
        };
        let stale = pages.stale();
        let mut names: Vec<_> =
            self.small.iter().map(|(name, entries)| bucket(*name, inline_bucket(entries))).collect();
        names.push(bucket("key", key));
        names.sort_by(|a, b| a.key.cmp(&b.key));
        let root = pages.place(super::leaf_image(&names));
        let freelist = self.freelist.map_or(NO_FREELIST, |long| pages.freelist(&[stale], long));
        let file = seal(pages.finish(root, freelist, 8));
        Built { file, page_size: self.page_size, root, levels, stale, freelist }
    }
}

impl Built {
    /// Where byte `offset` of page `id` is in the file.
    pub fn at(&self, id: u64, offset: usize) -> usize {
        usize::try_from(id).expect("small") * self.page_size + offset
    }

    /// Where element `index` of page `id` is in the file, and what is in it.
    pub fn element(&self, id: u64, index: usize) -> usize {
        self.at(id, 16 + 16 * index)
    }

    pub fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.file[at..at + 4].try_into().expect("four bytes"))
    }

    pub fn set(&mut self, at: usize, bytes: &[u8]) {
        self.file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Where the data of element `index` of leaf `id` begins in the file.
    pub fn data(&self, id: u64, index: usize) -> usize {
        let element = self.element(id, index);
        element + self.word(element + 4) as usize
    }

    /// Where a bucket's value begins in the file.
    pub fn bucket(&self, name: &str) -> usize {
        let count = self.word(self.at(self.root, 10)) as usize & 0xFFFF;
        let find = |index: usize| {
            let (element, data) = (self.element(self.root, index), self.data(self.root, index));
            let size = self.word(element + 8) as usize;
            (&self.file[data..data + size] == name.as_bytes()).then_some(data + size)
        };
        (0..count).find_map(find).expect("a bucket")
    }

    pub fn leaves(&self) -> &[u64] {
        &self.levels[0]
    }
}
