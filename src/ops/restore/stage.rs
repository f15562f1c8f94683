//! One member in the making, where nobody looks for one yet.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::etcd::membership::MemberId;
use crate::etcd::wal;
use crate::ops::Progress;
use crate::source::Source;

use super::aside::{Moved, WalAside};
use super::attributes::{Giver, Model, first_of_each, give_away};
use super::copy::{Copying, DbFile};
use super::place::{Place, parent};
use super::plan::Plan;
use super::publish::Publication;
use super::space::Needed;
use super::target::{Owner, Target, TargetError};
use super::tree::{MemberTree, sync_path};
use super::warning::Warning;
use super::{Placement, RestoreError, mark};

/// A member directory in the making.
#[derive(Debug)]
pub(super) struct Staging {
    main: Place,
    wal: Option<Place>,
    giver: Giver,
    mode: Option<u32>,
    target: Target,
    /// Set when the verdict is out and there is no point in going on.
    abandoned: AtomicBool,
}

/// Where everything stands after it was published.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) data_dir: PathBuf,
    pub(super) wal_dir: PathBuf,
    pub(super) moved_aside: Vec<Moved>,
    pub(super) left_alone: Vec<PathBuf>,
}

impl Giver {
    /// Who may give files to `owner`.
    pub(super) fn allowed(owner: Option<Owner>) -> Result<Self, TargetError> {
        let caller = rustix::process::geteuid();
        match owner.filter(|owner| !caller.is_root() && owner.uid != caller.as_raw()) {
            Some(owner) => Err(TargetError::NotRoot { owner }),
            None => Ok(Self { owner, root: caller.is_root() }),
        }
    }
}

impl Staging {
    /// Takes the places and writes nothing into them yet.
    pub(super) fn take(placement: &Placement) -> Result<Self, TargetError> {
        let examine =
            || Target::examine(&placement.data_dir, placement.wal_dir.as_deref(), placement.existing);
        let target = examine()?;
        let giver = Giver::allowed(placement.owner)?;
        let data_dir = &target.data_dir;
        // A WAL inside the data directory needs that directory first.
        let main = if target.existing_owner.is_some() || target.wal_inside {
            Place::inside(data_dir)?
        } else {
            Place::beside(data_dir)?
        };
        let wal = match &target.wal_dir {
            Some(wal_dir) if target.wal_owner.is_some() => Some(Place::inside(wal_dir)?),
            Some(wal_dir) => Some(Place::beside(wal_dir)?),
            None => None,
        };
        if target.existing_owner.is_some() {
            Place::clear_beside(data_dir);
        }
        if let Some(wal_dir) = target.wal_dir.as_ref().filter(|_| target.wal_owner.is_some()) {
            Place::clear_beside(wal_dir);
        }
        // Before this run had the locks, another one may have published.
        let again = examine()?;
        let wal_appeared = again.wal_owner.is_some() && target.wal_owner.is_none();
        if wal_appeared
            || again.existing_owner.is_some() && target.existing_owner.is_none() && !target.wal_inside
            || again.aside.member.is_some() != target.aside.member.is_some()
        {
            return Err(TargetError::Busy { path: data_dir.clone() });
        }
        Ok(Self { main, wal, giver, mode: placement.mode, target, abandoned: AtomicBool::new(false) })
    }

    /// Where the database is made.
    pub(super) fn db(&self) -> PathBuf {
        self.tree().db()
    }

    pub(super) fn abandoned(&self) -> &AtomicBool {
        &self.abandoned
    }

    fn tree(&self) -> MemberTree {
        MemberTree { member: self.main.tree().join("member"), wal_apart: self.wal.as_ref().map(Place::tree) }
    }

    /// Writes everything, reads it again, and waits until it is on disk. What
    /// the operator should know of it is returned.
    pub(super) fn write(
        &self,
        source: &Source,
        plan: &Plan<'_>,
        node: MemberId,
        progress: &Progress,
    ) -> Result<Vec<Warning>, RestoreError> {
        let tree = self.tree();
        tree.make_directories()?;
        let copying = Copying { source, plan, progress, abandoned: &self.abandoned };
        let mut db = DbFile::create(tree.db())?;
        let cloned = db.clone_source(&copying)?;
        self.check_space(if cloned { 0 } else { plan.database.size() })?;
        copying.write(&mut [db])?;
        if copying.is_abandoned() {
            return Ok(Vec::new());
        }
        let head = plan.wal_head(node);
        let mark = self.wal.as_ref().map(|_| mark::content(&self.target.data_dir, head.len())).transpose()?;
        tree.write(plan, node, mark.as_deref())?;
        let warnings = self.give(plan, &tree)?;
        tree.read_back(plan, node)?;
        tree.sync(plan)?;
        sync_path(&self.main.tree())?;
        Ok(warnings)
    }

    fn check_space(&self, db_size: u64) -> Result<(), TargetError> {
        let mut needed = Needed::default();
        // What is there already may be a file system of its own.
        let named = |path: &Path| if path.is_dir() { path.to_owned() } else { parent(path) };
        let data_dir = named(&self.target.data_dir);
        needed.add(&self.main.tree(), &data_dir, db_size);
        match (&self.wal, &self.target.wal_dir) {
            (Some(place), Some(wal_dir)) => needed.add(&place.tree(), &named(wal_dir), wal::PREALLOCATED),
            _ => needed.add(&self.main.tree(), &data_dir, wal::PREALLOCATED),
        }
        needed.check()
    }

    /// Gives what was written the attributes of what it takes the place of, or of
    /// the directory that it goes into. Only root can give to another owner.
    fn give(&self, plan: &Plan<'_>, tree: &MemberTree) -> Result<Vec<Warning>, TargetError> {
        let target = &self.target;
        let model = match &target.aside.member {
            Some(moved) => Model::replaced(moved.from.clone()),
            None => Model::parent(&target.data_dir),
        };
        let mut paths = vec![tree.member.clone(), tree.snap(), tree.db(), tree.snap_file(plan)];
        if self.wal.is_none() {
            paths.extend([tree.wal(), tree.segment()]);
        }
        let mut warnings = self.giver.give(&paths, &tree.member, &model)?;
        if target.existing_owner.is_none() {
            // The data directory itself, which is still to appear or was made.
            give_away(self.giver.owner, &self.main.tree())?;
        }
        self.give_made(&self.main)?;
        if let (Some(place), Some(wal_dir)) = (&self.wal, &target.wal_dir) {
            let existing = wal_dir.is_dir();
            let model = match &target.aside.wal {
                _ if !existing => model,
                WalAside::Whole(moved) => Model::replaced(moved.from.clone()),
                _ => Model::parent(wal_dir),
            };
            let paths = [tree.wal(), tree.segment()];
            warnings.extend(self.giver.give(&paths, &tree.wal(), &model)?);
            self.give_made(place)?;
        }
        Ok(first_of_each(warnings))
    }

    /// An owner that was asked for gets the directories around, too.
    fn give_made(&self, place: &Place) -> Result<(), TargetError> {
        place.made().iter().try_for_each(|path| give_away(self.giver.owner, path))
    }

    /// Makes the directory appear at the target.
    pub(super) fn publish(self) -> Result<Published, RestoreError> {
        let wal_dir =
            self.target.wal_dir.clone().unwrap_or_else(|| self.target.data_dir.join("member").join("wal"));
        let Self { main, wal, giver, mode, target, .. } = self;
        // Those that were there are changed only now.
        let data_dir = target.existing_owner.map(|_| &target.data_dir);
        let existing_wal_dir = target.wal_owner.and(target.wal_dir.as_ref());
        for path in data_dir.into_iter().chain(existing_wal_dir) {
            give_away(giver.owner, path)?;
        }
        let into_existing = target.existing_owner.is_some() || target.wal_inside;
        let published = Publication { main, wal, mode, into_existing, target: &target }.publish()?;
        published.map_err(RestoreError::NotDurable)?;
        let moved_aside = target.aside.moved();
        Ok(Published { data_dir: target.data_dir, wal_dir, moved_aside, left_alone: target.left_alone })
    }
}
