//! All members of the new cluster from one verified read.
//!
//! Each in a directory of its own, or in a tar archive, all below one directory.
//! That one is published, by one rename: so there are all members or none, however
//! the run ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::bolt::Db;
use crate::etcd::membership::{Member, MemberId};
use crate::etcd::peer_url::BootstrapError;
use crate::etcd::wal;
use crate::ops::{Settings, verify};
use crate::source::Source;

use super::archive::Archive;
use super::aside::{entries, is_mount_point};
use super::attributes::{Giver, Model, first_of_each, give_away};
use super::copy::{Copying, DbFile, can_clone};
use super::place::{Place, make_directory, parent};
use super::plan::{Plan, Summary};
use super::publish::rename_new;
use super::space::Needed;
use super::target::{Owner, TargetError, failed, reachable};
use super::tree::{MemberTree, sync_path};
use super::warning::Warning;
use super::{
    Fingerprint, Preview, Request, RestoreError, Survey, acceptable, as_planned, foreseen, missed, verified,
};

/// Where all members go.
#[derive(Debug, Clone)]
pub struct OutDir {
    /// The directory: absent, or empty and no mount point.
    pub path: PathBuf,
    /// What each member is there.
    pub form: Form,
    /// Who will own what is written; of an archive, what is in it.
    pub owner: Option<Owner>,
    /// Mode of each data directory.
    pub mode: Option<u32>,
}

/// What each member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A data directory `NAME`.
    Directories,
    /// An archive `NAME.tar` of what goes into a data directory.
    Archives,
}

/// All members of a cluster, restored.
#[derive(Debug)]
pub struct AllRestored {
    /// What was done.
    pub summary: Summary,
    /// What stands for the content of every database.
    pub state: Fingerprint,
    /// What was found in the snapshot.
    pub report: verify::Report,
    /// The directory with all members.
    pub out_dir: PathBuf,
    /// The members in the order of their names, and where each is.
    pub members: Vec<(Member, PathBuf)>,
    /// What the operator should know before starting etcd.
    pub warnings: Vec<Warning>,
}

/// Restores `source` as every member of the new cluster.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore_all(
    source: &Source,
    request: &Request,
    out_dir: &OutDir,
    settings: &Settings<'_>,
) -> Result<AllRestored, RestoreError> {
    let db = Db::open(source.bytes())?;
    let (plan, members) = prepare(source, &db, request, out_dir, settings)?;
    acceptable(source, &db, &plan, request, settings)?;
    let ids: Vec<_> = members.iter().map(|(member, _)| member.id).collect();
    let staging = Staging::take(out_dir, members.iter().map(|(_, name)| name.clone()).collect())?;
    let ((report, state), labels) =
        verified(source, &db, &plan, request, settings, &staging.abandoned, || {
            let copying =
                Copying { source, plan: &plan, progress: settings.progress, abandoned: &staging.abandoned };
            match out_dir.form {
                Form::Directories => staging.write_directories(&copying, &ids),
                Form::Archives => staging.write_archives(&copying, &ids),
            }
        })?;
    if let Some((first, at)) = staging.first_database(&plan, &ids, out_dir.form) {
        as_planned(&first, at, &plan, request, settings)?;
    }
    let members = members.into_iter().map(|(member, name)| (member, staging.target.join(name))).collect();
    staging.publish()?;
    let mut warnings = plan.warnings(source, &report, request);
    warnings.extend(labels);
    let (summary, out_dir) = (plan.summary(), out_dir.path.clone());
    Ok(AllRestored { summary, state, report, out_dir, members, warnings })
}

/// Finds out all that [`restore_all`] would do and say, and writes nothing.
///
/// # Errors
/// As [`restore_all`], but that a directory which cannot be used, a refusal and another
/// state than expected are part of the answer.
pub fn preview_all(
    source: &Source,
    request: &Request,
    out_dir: &OutDir,
    settings: &Settings<'_>,
) -> Result<Preview<AllRestored>, RestoreError> {
    let db = Db::open(source.bytes())?;
    let (plan, members) = prepare(source, &db, request, out_dir, settings)?;
    let survey = Survey::of_all(out_dir, &plan, members.len());
    let ((report, state), hash_kv) = foreseen(source, &db, &plan, request, settings)?;
    let warnings = plan.warnings(source, &report, request);
    let (summary, out_dir) = (plan.summary(), out_dir.path.clone());
    let members = members.into_iter().map(|(member, name)| (member, out_dir.join(name))).collect();
    let (refusals, missed_state) = (plan.database.refusals().to_vec(), missed(request, state));
    let restored = AllRestored { summary, state, report, out_dir, members, warnings };
    Ok(Preview { restored, hash_kv, survey, refusals, missed_state })
}

/// The plan, and the members in the order of their names with the name of what each
/// will be in.
fn prepare<'a>(
    source: &Source,
    db: &Db<'a>,
    request: &Request,
    out_dir: &OutDir,
    settings: &Settings<'_>,
) -> Result<(Plan<'a>, Vec<(Member, String)>), RestoreError> {
    // What each of them would be refused for by itself.
    let cluster = &request.membership.cluster;
    if cluster.is_empty() {
        return Err(BootstrapError::NoMembers.into());
    }
    for (name, urls) in cluster.iter() {
        cluster.validate(name, urls)?;
    }
    let plan = super::plan(source, db, request, settings)?;
    let mut members = plan.summary().members;
    members.sort_by(|a, b| a.name.cmp(&b.name));
    let named = members.into_iter().map(|member| {
        let name = file_name(&member.name, out_dir.form)?;
        Ok((member, name))
    });
    let named = named.collect::<Result<Vec<_>, RestoreError>>()?;
    Ok((plan, named))
}

/// A member's name as that of a file. Only names that are safe as they are: one
/// that was changed would not be found by whoever looks for the member.
fn file_name(name: &str, form: Form) -> Result<String, TargetError> {
    let refused = |why| TargetError::UnsafeName { name: name.to_owned(), why };
    let file = match form {
        Form::Directories => name.to_owned(),
        Form::Archives => format!("{name}.tar"),
    };
    if name.is_empty() {
        return Err(refused("it is empty"));
    }
    if matches!(name, "." | "..") {
        return Err(refused("it leads to another directory"));
    }
    if name.contains('/') {
        return Err(refused("there is a slash in it"));
    }
    if name.chars().any(char::is_control) {
        return Err(refused("there is a control character in it"));
    }
    // What file systems take for a name.
    if file.len() > 255 {
        return Err(refused("it is too long"));
    }
    Ok(file)
}

struct Staging {
    place: Place,
    /// Where links in the path lead to.
    target: PathBuf,
    /// Whether the directory is there, and empty.
    exists: bool,
    giver: Giver,
    mode: Option<u32>,
    names: Vec<String>,
    abandoned: AtomicBool,
}

/// The directory as it can be renamed over, and whether it is there.
pub(super) fn examine(path: &Path) -> Result<(PathBuf, bool), TargetError> {
    let refused = |why| TargetError::OutDir { path: path.to_owned(), why };
    reachable(path)?;
    if path.file_name().is_none() {
        return Err(refused("the path ends without a name"));
    }
    if !path.exists() {
        return Ok((path.to_owned(), false));
    }
    let full = path.canonicalize().map_err(failed("examine", path))?;
    if !full.is_dir() {
        return Err(TargetError::NotADirectory { path: path.to_owned() });
    }
    let mut found: Vec<_> =
        entries(&full)?.into_iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if !found.is_empty() {
        found.sort();
        found.truncate(5);
        return Err(TargetError::NotEmpty { path: path.to_owned(), entries: found });
    }
    if is_mount_point(&full) {
        return Err(refused("it is a mount point, which no rename can put in place"));
    }
    Ok((full, true))
}

impl Staging {
    fn take(out_dir: &OutDir, names: Vec<String>) -> Result<Self, TargetError> {
        let (target, exists) = examine(&out_dir.path)?;
        let giver = match out_dir.form {
            Form::Directories => Giver::allowed(out_dir.owner)?,
            // Anybody may write down anybody's number.
            Form::Archives => Giver { owner: out_dir.owner, root: false },
        };
        let place = Place::beside(&target)?;
        // Before this run had the lock, another one may have published.
        if examine(&out_dir.path)? != (target.clone(), exists) {
            return Err(TargetError::Busy { path: out_dir.path.clone() });
        }
        let abandoned = AtomicBool::new(false);
        Ok(Self { place, target, exists, giver, mode: out_dir.mode, names, abandoned })
    }

    fn staged(&self, name: &str) -> PathBuf {
        self.place.tree().join(name)
    }

    /// The file that the first member's database is in, and where in it.
    fn first_database(&self, plan: &Plan<'_>, ids: &[MemberId], form: Form) -> Option<(PathBuf, u64)> {
        let staged = self.staged(self.names.first()?);
        Some(match form {
            Form::Directories => (MemberTree { member: staged.join("member"), wal_apart: None }.db(), 0),
            Form::Archives => (staged, Archive::new(plan, *ids.first()?, self.archived_owner()).db_at()),
        })
    }

    fn archived_owner(&self) -> Owner {
        self.giver.owner.unwrap_or(Owner { uid: 0, gid: 0 })
    }

    fn check_space(&self, bytes: u64) -> Result<(), TargetError> {
        let mut needed = Needed::default();
        needed.add(&self.place.tree(), &parent(&self.target), bytes);
        needed.check()
    }

    fn write_directories(
        &self,
        copying: &Copying<'_>,
        ids: &[MemberId],
    ) -> Result<Vec<Warning>, RestoreError> {
        let plan = copying.plan;
        let trees: Vec<_> = self
            .names
            .iter()
            .map(|name| MemberTree { member: self.staged(name).join("member"), wal_apart: None })
            .collect();
        for (name, tree) in self.names.iter().zip(&trees) {
            make_directory(&self.staged(name))?;
            tree.make_directories()?;
        }
        self.write_databases(copying, &trees)?;
        let mut warnings = Vec::new();
        if copying.is_abandoned() {
            return Ok(warnings);
        }
        for ((name, tree), id) in self.names.iter().zip(&trees).zip(ids) {
            let data_dir = self.staged(name);
            tree.write(plan, *id, None)?;
            let paths = [&[data_dir.clone()][..], &tree.paths(plan)].concat();
            warnings.extend(self.giver.give(&paths, &data_dir, &Model::parent(&self.target))?);
            if let Some(mode) = self.mode {
                fs::set_permissions(&data_dir, fs::Permissions::from_mode(mode))
                    .map_err(failed("set the mode of", &data_dir))?;
            }
        }
        for ((name, tree), id) in self.names.iter().zip(&trees).zip(ids) {
            tree.read_back(plan, *id)?;
            tree.sync(plan)?;
            sync_path(&self.staged(name))?;
        }
        self.finish()?;
        Ok(first_of_each(warnings))
    }

    /// One copy, of which the others are clones; or all of them side by side,
    /// from one read.
    fn write_databases(&self, copying: &Copying<'_>, trees: &[MemberTree]) -> Result<(), RestoreError> {
        let size = copying.plan.database.size();
        let [first, others @ ..] = trees else { return Ok(()) };
        let mut db = DbFile::create(first.db())?;
        let cloned = db.clone_source(copying)?;
        let share = cloned || can_clone(&self.place.tree());
        let copies = if share { u64::from(!cloned) } else { trees.len() as u64 };
        let wals = wal::PREALLOCATED.saturating_mul(trees.len() as u64);
        self.check_space(size.saturating_mul(copies).saturating_add(wals))?;
        let mut files = vec![db];
        if !share {
            for tree in others {
                files.push(DbFile::create(tree.db())?);
            }
        }
        copying.write(&mut files)?;
        if let ([db], true) = (files.as_slice(), share && !copying.is_abandoned()) {
            for tree in others {
                db.clone_to(tree.db())?;
            }
        }
        Ok(())
    }

    fn write_archives(&self, copying: &Copying<'_>, ids: &[MemberId]) -> Result<Vec<Warning>, RestoreError> {
        let plan = copying.plan;
        let owner = self.archived_owner();
        self.check_space(plan.database.size().saturating_mul(ids.len() as u64))?;
        let archives: Vec<_> = ids.iter().map(|id| Archive::new(plan, *id, owner)).collect();
        let mut files = Vec::new();
        for (name, archive) in self.names.iter().zip(&archives) {
            files.push(archive.create(self.staged(name))?);
        }
        copying.write(&mut files)?;
        if !copying.is_abandoned() {
            for (name, archive) in self.names.iter().zip(&archives) {
                archive.read_back(self.staged(name))?;
                sync_path(&self.staged(name))?;
            }
            self.finish()?;
        }
        Ok(Vec::new())
    }

    /// Gives the directory around the attributes of the one that it takes the
    /// place of.
    fn finish(&self) -> Result<(), RestoreError> {
        let tree = self.place.tree();
        if self.exists {
            let giver = Giver { owner: None, root: rustix::process::geteuid().is_root() };
            giver.give(std::slice::from_ref(&tree), &tree, &Model::replaced(self.target.clone()))?;
        }
        if self.giver.root {
            give_away(self.giver.owner, &tree)?;
            self.place.made().iter().try_for_each(|path| give_away(self.giver.owner, path))?;
        }
        Ok(sync_path(&tree)?)
    }

    fn publish(self) -> Result<(), RestoreError> {
        let tree = self.place.tree();
        if self.exists {
            // Over an empty directory, and over nothing else.
            fs::rename(&tree, &self.target).map_err(failed("publish", &self.target))?;
        } else {
            rename_new(&tree, &self.target)?;
        }
        let durable = sync_path(&parent(&self.target))
            .and_then(|()| self.place.made().iter().try_for_each(|made| sync_path(&parent(made))));
        durable.map_err(RestoreError::NotDurable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_name_is_a_files_name_or_refused() {
        assert_eq!(file_name("node-1.example", Form::Archives).expect("safe"), "node-1.example.tar");
        assert_eq!(file_name("über uns", Form::Directories).expect("safe"), "über uns");
        let long = "n".repeat(255);
        assert_eq!(file_name(&long, Form::Directories).expect("safe"), long);
        assert!(file_name(&long, Form::Archives).is_err());
        for name in ["", ".", "..", "a/b", "/", "../x", "a\nb", "a\0b", "\u{7f}", "\u{9b}"] {
            assert!(file_name(name, Form::Directories).is_err(), "{name:?}");
        }
        // Not another directory with the ending behind it, but told all the same.
        assert!(file_name("..", Form::Archives).is_err());
    }
}
