//! Where to begin: the best root that there is.

use crate::bolt::{BucketRoot, Db, Edges, PageSize, Surveyor, buckets_of_root, inline_entries};
use crate::etcd::schema;
use crate::etcd::snapshot::trailer;

use super::remains::{Remains, order_of};
use super::report::Base;
use super::search::Search;

/// How many pages that look like a root are tried.
const TRIED: usize = 8;

/// A root, and what it leads to.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) db: Option<Db<'a>>,
    pub(super) page_size: PageSize,
    pub(super) base: Base,
    /// Whether all buckets can be named.
    pub(super) whole: bool,
    /// Where bucket `key` begins, if that can be read.
    pub(super) key: Option<BucketRoot<'a>>,
    /// Whether it is known to be older than other pages of the file.
    pub(super) stale: bool,
    /// Whether a newer root may be in the file: a meta cannot be followed, and the file is
    /// no snapshot, in which both name one root.
    pub(super) perhaps_newer: bool,
}

impl<'a> Start<'a> {
    fn of(db: Db<'a>, base: Base) -> Self {
        let (buckets, whole) = buckets_of_root(&db);
        let key = buckets.iter().find(|bucket| bucket.name == schema::KEY).map(|bucket| bucket.root);
        // Page numbers that cannot be are as good as none.
        let key = key.filter(|root| match root {
            BucketRoot::Tree(page) => Surveyor::leads_somewhere(&db.image, *page),
            BucketRoot::Inline { .. } => true,
        });
        Self {
            db: Some(db),
            page_size: db.meta.page_size,
            base,
            whole,
            key,
            stale: false,
            perhaps_newer: false,
        }
    }

    /// The root that a meta names, the newer first.
    pub(super) fn of_metas(file: &'a [u8]) -> Self {
        let Ok(db) = Db::open(file) else {
            let page_size = PageSize::guess(file);
            let (whole, key) = (false, None);
            return Self {
                db: None,
                page_size,
                base: Base::None,
                whole,
                key,
                stale: false,
                perhaps_newer: false,
            };
        };
        let is_stream = trailer(&db, file).digest().is_some();
        let mut newer = Self::of(db, Base::Meta(db.active));
        newer.perhaps_newer = !is_stream && db.metas.iter().any(Result::is_err);
        if newer.whole && newer.key.is_some() {
            return newer;
        }
        let older = db.other_tree(file).map(|db| Self::of(db, Base::OlderMeta(db.active)));
        match older.filter(|older| older.whole && older.key.is_some()) {
            Some(older) => Self { perhaps_newer: !is_stream, ..older },
            None => newer,
        }
    }

    /// Roots in the file that are newer than `index`, the raft index of the last entry that
    /// this one has: the newest first.
    pub(super) fn newer(&self, search: &Search<'_, 'a>, remains: &Remains, index: u64) -> Vec<Self> {
        let newer = remains.roots.iter().filter(|root| root.age > index).filter_map(|root| root.page);
        let by_form = newer
            .take(TRIED)
            .map(|page| Self::of(Db::with_root(search.file, self.page_size, page), Base::Newer(page)));
        by_form.filter(|start| start.whole && start.key.is_some()).collect()
    }

    /// Whether it says all that a root has to say.
    pub(super) fn is_good(&self) -> bool {
        self.whole && (self.key.is_some() || self.names_no_history())
    }

    /// The last record of its bucket `key`.
    fn last(&self, search: &Search<'_, 'a>) -> Option<(i64, i64, bool)> {
        let last = match self.key? {
            BucketRoot::Tree(page) => Edges::new(search.image()).of(page)?.1,
            BucketRoot::Inline { bytes, .. } => inline_entries(bytes).last()?.0,
        };
        order_of(last)
    }

    /// Whether the database never had a bucket `key`: no etcd ever ran on it.
    fn names_no_history(&self) -> bool {
        let Some(db) = &self.db else { return false };
        self.whole && !buckets_of_root(db).0.iter().any(|bucket| bucket.name == schema::KEY)
    }

    /// The newest page that has the form of a root, where no meta leads to one. (Where one
    /// does and that page is broken, every other is older.) `remains`: of all pages.
    pub(super) fn or_by_form(self, search: &Search<'_, 'a>, remains: &Remains) -> Self {
        let by_form = remains
            .roots
            .iter()
            .filter_map(|root| root.page)
            .take(TRIED)
            .map(|page| Self::of(Db::with_root(search.file, self.page_size, page), Base::Page(page)));
        let best = by_form.into_iter().find(|start| start.whole && start.key.is_some());
        let Some(mut best) = best else { return self };
        let newest = remains.newest();
        let last = best.last(search);
        best.stale = last < newest;
        if best.stale {
            best.key = None;
        }
        best
    }
}
