//! Damage by name: what was done to a sound file, and all that `verify` says of
//! it. Each case also asks every other question of the file, with several
//! numbers of threads, and tries to restore it: see `support/ask.rs`.
//!
//! The file that most cases damage has 1 KiB pages:
//!
//! ```text
//! root 18 ─▶ key ─▶ branch 16 ─▶ branch 13 ─▶ leaves 2 to 5
//!        │                  ├──▶ branch 14 ─▶ leaves 6 to 9
//!        └─▶ inline buckets └──▶ branch 15 ─▶ leaves 10 to 12       17 is free, 18 goes on in 19
//! ```
//!
//! Bucket `key` has the revisions 2 to 61, six to a leaf, and is compacted at 5.

#[path = "../support/mod.rs"]
mod support;

use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::verify::Latest;
use etcdsnap::ops::{Lost, OpError, Progress, Settings, hashkv, keys, list, lookup, member_list, status};
use support::store::{self, Built, Put, Store, deletion, leased, member, message, put, revision};
use support::{Entry, MetaFields, NO_FREELIST, Pages, ask, bucket, entry, inline_bucket, tree_bucket};

const FIRST_LEAF: u64 = 2;
const LEAF: u64 = 6;
const NEXT_LEAF: u64 = 7;
const BRANCH: u64 = 14;
const NEXT_BRANCH: u64 = 15;
const KEY_ROOT: u64 = 16;
const STALE: u64 = 17;
const ROOT: u64 = 18;
const HIGH_WATER_MARK: u64 = 20;

/// Asserts that `verify` finds exactly this, and what follows from it.
fn expect(file: &[u8], lines: &[&str]) {
    let report = ask::everything(file);
    assert_eq!(ask::lines(&report), lines, "{:#?}", report.findings);
    assert_eq!(report.is_sound(), lines.iter().all(|line| line.starts_with("note ")));
}

/// Cases that change the bytes of a file; the digest is made right again, so
/// that all that speaks is the damage itself.
macro_rules! bytes {
    ($($name:ident $store:expr, |$built:ident| $change:block => [$($line:literal),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let mut $built: Built = $store.build();
            $change
            support::reseal(&mut $built.file);
            expect(&$built.file, &[$($line),*]);
        }
    )*};
}

/// Cases that change what is written into the file.
macro_rules! content {
    ($($name:ident |$store:ident| $change:block => [$($line:literal),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let mut $store = sample();
            $change
            expect(&$store.build().file, &[$($line),*]);
        }
    )*};
}

/// Cases that change the file as it is, digest and all.
macro_rules! whole_file {
    ($($name:ident |$built:ident| $change:block => [$($line:literal),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let mut $built: Built = sample().build();
            $change
            expect(&$built.file, &[$($line),*]);
        }
    )*};
}

mod lost;
mod pages;
mod records;
mod shapes;
mod whole_file;

fn sample() -> Store {
    Store::sample(60)
}

fn with_freelist(long: bool) -> Store {
    Store { freelist: Some(long), ..sample() }
}

fn inline() -> Store {
    Store { key_inline: true, ..Store::sample(5) }
}

/// A store of one bucket `key` that is a single leaf.
fn one_leaf() -> Store {
    Store { leaf_bytes: 4096, ..Store::sample(8) }
}

impl Built {
    fn child(&mut self, branch: u64, index: usize, child: u64) {
        let at = self.element(branch, index);
        self.set(at + 8, &child.to_le_bytes());
    }

    fn count(&mut self, page: u64, count: u16) {
        let at = self.at(page, 10);
        self.set(at, &count.to_le_bytes());
    }

    fn overflow(&mut self, page: u64, overflow: u32) {
        let at = self.at(page, 12);
        self.set(at, &overflow.to_le_bytes());
    }

    fn flags(&mut self, page: u64, flags: u16) {
        let at = self.at(page, 8);
        self.set(at, &flags.to_le_bytes());
    }

    fn add(&mut self, at: usize, more: u32) {
        let sum = self.word(at).wrapping_add(more);
        self.set(at, &sum.to_le_bytes());
    }

    fn meta(&self) -> MetaFields {
        MetaFields {
            page_size: 1024,
            root: ROOT,
            freelist: NO_FREELIST,
            high_water_mark: HIGH_WATER_MARK,
            txid: 8,
        }
    }

    fn metas(&mut self, meta: MetaFields) {
        support::set_meta(&mut self.file, 1024, 0, meta);
        support::set_meta(&mut self.file, 1024, 1, MetaFields { txid: meta.txid - 1, ..meta });
    }
}

#[test]
fn what_is_built_here_is_sound() {
    for store in [sample(), with_freelist(false), with_freelist(true), inline(), one_leaf()] {
        expect(&store.build().file, &[]);
    }
    let built = sample().build();
    assert_eq!(built.levels, [(2..=12).collect(), vec![13, 14, 15], vec![KEY_ROOT]]);
    assert_eq!((built.stale, built.root), (STALE, ROOT));
}
