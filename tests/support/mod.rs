//! Builds bbolt files and etcd content for tests, byte by byte from the format's
//! description. Shares no code with the library's own writer, so that each is a
//! check on the other.
//!
//! Every test file has its own part of this; what one does not use is no mistake.
#![allow(dead_code, unreachable_pub)]

pub mod ask;
pub mod history;
pub mod store;

use sha2::{Digest, Sha256};

pub const BRANCH: u16 = 0x01;
pub const LEAF: u16 = 0x02;
pub const META: u16 = 0x04;
pub const FREELIST: u16 = 0x10;
pub const NO_FREELIST: u64 = u64::MAX;

/// An element of a leaf page, with the flags as they will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub flags: u32,
}

pub fn entry(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Entry {
    Entry { key: key.into(), value: value.into(), flags: 0 }
}

pub fn bucket(name: impl Into<Vec<u8>>, value: Vec<u8>) -> Entry {
    Entry { key: name.into(), value, flags: 1 }
}

/// Value of a bucket that has a tree of its own.
pub fn tree_bucket(root: u64) -> Vec<u8> {
    [root.to_le_bytes(), [0; 8]].concat()
}

/// Value of a bucket that is kept in its parent's leaf.
pub fn inline_bucket(entries: &[Entry]) -> Vec<u8> {
    [tree_bucket(0), leaf_image(entries)].concat()
}

fn header(flags: u16, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend(flags.to_le_bytes());
    bytes.extend(u16::try_from(count).expect("elements of one page").to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("32 bits").to_le_bytes()
}

/// A leaf page without padding; page number and overflow are zero.
pub fn leaf_image(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = header(LEAF, entries.len());
    let mut data = 16 + 16 * entries.len();
    for entry in entries {
        bytes.extend(entry.flags.to_le_bytes());
        bytes.extend(word(data - (bytes.len() - 4)));
        bytes.extend(word(entry.key.len()));
        bytes.extend(word(entry.value.len()));
        data += entry.key.len() + entry.value.len();
    }
    for entry in entries {
        bytes.extend(&entry.key);
        bytes.extend(&entry.value);
    }
    bytes
}

/// A branch page without padding; page number and overflow are zero.
pub fn branch_image(children: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let mut bytes = header(BRANCH, children.len());
    let mut data = 16 + 16 * children.len();
    for (key, child) in children {
        bytes.extend(word(data - bytes.len()));
        bytes.extend(word(key.len()));
        bytes.extend(child.to_le_bytes());
        data += key.len();
    }
    for (key, _) in children {
        bytes.extend(key);
    }
    bytes
}

pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What a meta says, to be written whether it makes sense or not.
#[derive(Debug, Clone, Copy)]
pub struct MetaFields {
    pub page_size: u32,
    pub root: u64,
    pub freelist: u64,
    pub high_water_mark: u64,
    pub txid: u64,
}

impl MetaFields {
    /// The first 80 bytes of meta page `number`.
    pub fn to_bytes(self, number: u64) -> Vec<u8> {
        let mut bytes = [number.to_le_bytes().as_slice(), &META.to_le_bytes(), &[0; 6]].concat();
        bytes.extend(0xED0C_DAEDu32.to_le_bytes());
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(self.page_size.to_le_bytes());
        bytes.extend([0; 4]);
        for field in [self.root, 0, self.freelist, self.high_water_mark, self.txid] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(fnv1a(&bytes[16..72]).to_le_bytes());
        bytes
    }
}

/// Pages one after the other, the first two kept free for the metas.
#[derive(Debug, Clone)]
pub struct Pages {
    pub page_size: usize,
    bytes: Vec<u8>,
}

impl Pages {
    pub fn new(page_size: usize) -> Self {
        Self { page_size, bytes: vec![0; 2 * page_size] }
    }

    /// The page that the next image gets.
    pub fn next(&self) -> u64 {
        (self.bytes.len() / self.page_size) as u64
    }

    /// Places an image at the next page and gives it its number and overflow.
    pub fn place(&mut self, mut image: Vec<u8>) -> u64 {
        let id = self.next();
        let pages = image.len().div_ceil(self.page_size);
        image[..8].copy_from_slice(&id.to_le_bytes());
        image[12..16].copy_from_slice(&word(pages - 1));
        image.resize(pages * self.page_size, 0);
        self.bytes.extend(image);
        id
    }

    /// Writes an image over pages that are there, as bbolt does with free ones.
    pub fn overwrite(&mut self, id: u64, mut image: Vec<u8>) {
        let pages = image.len().div_ceil(self.page_size);
        image[..8].copy_from_slice(&id.to_le_bytes());
        image[12..16].copy_from_slice(&word(pages - 1));
        image.resize(pages * self.page_size, 0);
        let at = usize::try_from(id).expect("small") * self.page_size;
        self.bytes[at..at + image.len()].copy_from_slice(&image);
    }

    /// Destroys bytes of a page.
    pub fn wipe(&mut self, id: u64, within: std::ops::Range<usize>) {
        let at = usize::try_from(id).expect("small") * self.page_size;
        self.bytes[at + within.start..at + within.end].fill(0xEE);
    }

    /// A page that nothing uses, with what an earlier use left in it.
    pub fn stale(&mut self) -> u64 {
        self.place(leaf_image(&[entry("stale", "left behind")]))
    }

    /// A tree of these entries, with at most `leaf_bytes` to a leaf and `fan_out`
    /// children to a branch. Returns the levels, the leaves first, the root last.
    pub fn tree(&mut self, entries: &[Entry], leaf_bytes: usize, fan_out: usize) -> Vec<Vec<u64>> {
        let mut level: Vec<(Vec<u8>, u64)> = Vec::new();
        let mut rest = entries;
        while !rest.is_empty() || level.is_empty() {
            let mut size = 16;
            let fits = |entry: &&Entry| {
                size += 16 + entry.key.len() + entry.value.len();
                size <= leaf_bytes
            };
            let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
            let (leaf, behind) = rest.split_at(count);
            let first = leaf.first().map(|entry| entry.key.clone()).unwrap_or_default();
            level.push((first, self.place(leaf_image(leaf))));
            rest = behind;
        }
        let mut levels = vec![level.iter().map(|(_, id)| *id).collect::<Vec<_>>()];
        while level.len() > 1 {
            level = level
                .chunks(fan_out.max(2))
                .map(|children| (children[0].0.clone(), self.place(branch_image(children))))
                .collect();
            levels.push(level.iter().map(|(_, id)| *id).collect());
        }
        levels
    }

    /// A freelist page; in the long form the number of ids is the first of them.
    pub fn freelist(&mut self, ids: &[u64], long: bool) -> u64 {
        let mut image = header(FREELIST, if long { 0xFFFF } else { ids.len() });
        if long {
            image.extend((ids.len() as u64).to_le_bytes());
        }
        image.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        self.place(image)
    }

    /// The database as a snapshot stream has it, without its digest.
    pub fn finish(self, root: u64, freelist: u64, txid: u64) -> Vec<u8> {
        let page_size = u32::try_from(self.page_size).expect("a page size");
        let high_water_mark = self.next();
        let meta = MetaFields { page_size, root, freelist, high_water_mark, txid };
        let mut bytes = self.bytes;
        for (number, txid) in [(0, txid), (1, txid - 1)] {
            set_meta(&mut bytes, self.page_size, number, MetaFields { txid, ..meta });
        }
        bytes
    }
}

/// Writes meta `number` of a file.
pub fn set_meta(file: &mut [u8], page_size: usize, number: u64, meta: MetaFields) {
    let at = usize::try_from(number).expect("0 or 1") * page_size;
    file[at..at + 80].copy_from_slice(&meta.to_bytes(number));
}

/// Adds the digest that a snapshot has behind its pages.
pub fn seal(mut image: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&image);
    image.extend(digest);
    image
}

/// Makes the digest right again after a change.
pub fn reseal(file: &mut Vec<u8>) {
    file.truncate(file.len() - 32);
    *file = seal(std::mem::take(file));
}

/// The snapshots in `fixtures`, with their names.
pub fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/snapshots");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("fixtures")
        .map(|file| file.expect("a fixture").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a fixture"))
        })
        .collect();
    files.sort();
    files
}
