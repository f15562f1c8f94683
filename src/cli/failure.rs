//! A library error as one line of fact, its causes, and what to do.

use std::error::Error;
use std::io;
use std::iter;
use std::path::Path;
use std::process::ExitCode;

use etcdsnap::bolt::{BuildError, OpenError};
use etcdsnap::etcd::membership::NewMembersError;
use etcdsnap::etcd::snapshot::{FileKind, SnapshotError};
use etcdsnap::ops::OpError;
use etcdsnap::ops::finding::Check;
use etcdsnap::ops::rebuild::RebuildError;
use etcdsnap::ops::repack::RepackError;
use etcdsnap::ops::restore::{RestoreError, Summary, TargetError};
use etcdsnap::ops::salvage::SalvageError;
use etcdsnap::ops::verify::Report;
use etcdsnap::ops::whole_file::FileError;
use etcdsnap::source::SourceError;
use rustix::io::Errno;

use super::output::shell::quoted_path;
use super::output::size::{grouped, humanized};
use super::output::text::harmless_line;
use super::tell;

/// Why a command has no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    /// What was found, which leads to the message.
    evidence: Vec<String>,
    /// What to do.
    hints: Vec<String>,
    code: u8,
    /// Whoever read the output has left: nothing to say.
    silent: bool,
    /// Whatever was read has no part in it: it stands, even if that changed.
    regardless: bool,
}

impl Failure {
    /// Could not be done: exit code 2.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            evidence: Vec::new(),
            hints: Vec::new(),
            code: 2,
            silent: false,
            regardless: false,
        }
    }

    /// The words of the command line are wrong: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message)
    }

    /// The answer is no: exit code 1.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self { code: 1, ..Self::new(message) }
    }

    /// What was to be written could not be. That its source has changed meanwhile is no reason
    /// for it, and copying the source no remedy; of a reader that left there is nothing to
    /// say at all; and what is complete already was made of what was read before.
    ///
    /// But values and pages are written from where they lie in the source's map, and for what
    /// is lost of it the system refuses that (`EFAULT`): this does come of the source.
    fn unwritten(error: &(dyn Error + 'static)) -> Self {
        let mut causes = iter::successors(Some(error), |&error| error.source());
        let is_lost = causes.any(|cause| {
            let system = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
            system == Some(Errno::FAULT.raw_os_error())
        });
        Self { regardless: !is_lost, ..Self::new(error.to_string()) }
    }

    /// In other words.
    fn saying(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// It is no matter of what was read, and stands even if that changed.
    pub(crate) fn regardless(self) -> Self {
        Self { regardless: true, ..self }
    }

    /// Whether it stands even if what was read changed meanwhile.
    pub(crate) fn is_regardless(&self) -> bool {
        self.regardless
    }

    /// With a way to go on.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With what was found.
    pub(crate) fn found(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        if self.silent { 0 } else { self.code }
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        if self.silent {
            return ExitCode::SUCCESS;
        }
        // Names of files and keys are in it, and may hold anything.
        tell(format_args!("error: {}", harmless_line(&self.message)));
        for line in &self.evidence {
            tell(format_args!("  {}", harmless_line(line)));
        }
        for hint in &self.hints {
            // Commands in it are quoted already.
            tell(format_args!("  hint: {}", harmless_line(hint)));
        }
        ExitCode::from(self.code)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let silent = error.kind() == io::ErrorKind::BrokenPipe;
        Self { silent, ..Self::unwritten(&error).saying(format!("cannot write the output: {error}")) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::from(io::Error::from(error))
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        // It names the file and what is wrong with it, be it that it changed: not for another
        // of several files to take its place.
        let failure = Self::new(error.to_string()).regardless();
        match error {
            SourceError::Directory { path } => directory(&path, failure),
            SourceError::Locked { .. } => failure
                .hint("a running etcd holds it; take a snapshot instead: etcdctl snapshot save FILE")
                .hint(
                    "or stop that etcd first (kubeadm: move its manifest out of /etc/kubernetes/manifests)",
                ),
            SourceError::Changed { .. } => {
                failure.hint("nothing that was read can be relied on: copy the file first, then try again")
            }
            SourceError::Io { path, error, .. }
                if path == Path::new("-") && error.kind() == io::ErrorKind::NotFound =>
            {
                failure
                    .saying("there is no file -, and a snapshot is not taken from standard input: it is read in more than one place at once")
                    .hint("save it first: ... > snapshot.db, then name that file")
                    .hint("or name /dev/stdin, if there is memory for all of it")
            }
            SourceError::Io { error, .. } => match error.kind() {
                io::ErrorKind::NotFound => failure.hint("check the name, and that its disk is mounted"),
                io::ErrorKind::PermissionDenied => {
                    failure.hint("backups of etcd are usually readable for root only: try sudo")
                }
                io::ErrorKind::Unsupported => failure
                    .hint("name a file; or start what writes to it first: what comes down a pipe is read into memory"),
                _ => failure
                    .hint("the system refused it: check the disk, or copy the file to another one first"),
            },
            _ => failure,
        }
    }
}

fn directory(path: &Path, failure: Failure) -> Failure {
    for inside in ["member/snap/db", "snap/db", "db"] {
        let db = path.join(inside);
        if db.is_file() {
            return failure.hint(format!("it holds a member's database: name {}", quoted_path(&db)));
        }
    }
    failure.hint("name a snapshot file in it")
}

/// What to do with a file that is no database.
pub(crate) fn advice(error: &OpenError, looks_like: Option<FileKind>, path: &Path) -> Option<String> {
    let path = quoted_path(path);
    let unpack = |command: &str| Some(format!("unpack it first: {command}"));
    match (looks_like, error) {
        (Some(FileKind::Gzip), _) => unpack(&format!("gunzip -c {path} > snapshot.db")),
        (Some(FileKind::Zstd), _) => unpack(&format!("zstd -d {path} -o snapshot.db")),
        (Some(FileKind::Xz), _) => unpack(&format!("xz -dc {path} > snapshot.db")),
        (Some(FileKind::Bzip2), _) => unpack(&format!("bzip2 -dc {path} > snapshot.db")),
        (Some(FileKind::Zip), _) => unpack(&format!("unzip {path}")),
        (Some(FileKind::Tar), _) => unpack(&format!("tar -xf {path}")),
        (Some(FileKind::Encrypted), _) => Some("the file is encrypted: decrypt it first".into()),
        (Some(FileKind::Json | FileKind::Text), _) => {
            Some("the file is text: look into it, it may be the message of a failed download".into())
        }
        (Some(FileKind::Zeros), _) => Some("the file is all zeros: nothing was ever written to it".into()),
        (_, OpenError::Empty) => Some("the backup that made it failed: use another one".into()),
        (_, OpenError::BigEndian) => {
            Some("bbolt keeps the byte order of the machine (s390x, say): restore it there".into())
        }
        (_, OpenError::BothMetas { .. }) => {
            Some("both copies of its first page are damaged: use another copy".into())
        }
        _ => None,
    }
}

/// Names a file that is no database, with what it seems to be.
pub(crate) fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Gzip => "a gzip file",
        FileKind::Zstd => "a Zstandard file",
        FileKind::Xz => "an xz file",
        FileKind::Bzip2 => "a bzip2 file",
        FileKind::Zip => "a zip archive",
        FileKind::Tar => "a tar archive",
        FileKind::Encrypted => "an encrypted file",
        FileKind::Json => "JSON",
        FileKind::Text => "text",
        FileKind::Zeros => "nothing but zeros",
        _ => "another kind of file",
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Source(error) => error.into(),
            SnapshotError::NotADatabase { path, error, looks_like } => {
                let mut message = format!("{}: {error}", path.display());
                if let Some(kind) = looks_like {
                    message.push_str(&format!("; it is {}", kind_name(kind)));
                }
                let failure = Self::no(message);
                match advice(&error, looks_like, &path) {
                    Some(advice) => failure.hint(advice),
                    None => failure.hint("this is no etcd snapshot, or its beginning is lost"),
                }
            }
            error => Self::new(error.to_string()),
        }
    }
}

impl From<OpError> for Failure {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Snapshot(error) => error.into(),
            OpError::Source(error) => error.into(),
            OpError::Revision(error) => Self::no(error.to_string())
                .hint("--rev takes a revision of that range; without it, the newest is shown"),
            OpError::Damaged { damage } => Self::no(format!("the file is damaged: {damage}"))
                .hint("`etcdsnap verify FILE` tells all that is wrong and what it means")
                .hint("--skip-damaged answers from what can still be read")
                .hint("`etcdsnap salvage FILE OUT.db` makes a clean snapshot of what is left"),
            error @ OpError::NothingLeft { .. } => Self::no(error.to_string())
                .hint("--skip-damaged cannot help here: use another copy of this backup, or another backup")
                .hint("`etcdsnap salvage FILE OUT.db` looks for what is left outside of the tree, and makes a clean snapshot of it")
                .hint("`etcdsnap verify FILE` tells all that is wrong and what it means"),
            error => Self::new(error.to_string()),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let failure = Self::unwritten(&error);
        match error {
            FileError::Exists { .. } => {
                failure.hint("name a file that is not there yet: nothing is ever overwritten")
            }
            FileError::Busy { .. } => failure.hint("wait for it to end"),
            FileError::Foreign { .. } => failure.hint("look at it, and move it away if it is nobody's"),
            FileError::NoSpace { path, needed, available } => failure
                .saying(format!(
                    "{} has {} free, {} are needed",
                    path.display(),
                    humanized(available),
                    humanized(needed)
                ))
                .hint("free some space, or write to another file system"),
            FileError::Io { error, .. } => match error.kind() {
                io::ErrorKind::NotFound => failure.hint("make the directory first"),
                io::ErrorKind::StorageFull => {
                    failure.hint("the disk is full; nothing was left behind: free some space and try again")
                }
                io::ErrorKind::PermissionDenied => failure.hint("name a directory that you may write to"),
                _ => failure.hint("the system refused it: check that disk, or write to another one"),
            },
            _ => failure,
        }
    }
}

impl From<RebuildError> for Failure {
    fn from(error: RebuildError) -> Self {
        let failure = Self::no(error.to_string());
        match error {
            RebuildError::Op(error) => error.into(),
            RebuildError::Refused(refusal) => super::refused::refused(&[refusal], "FILE"),
            RebuildError::Compact(_) => Self::no(format!("--compact: {error}")).hint(
                "--compact now drops all history; `etcdsnap status FILE` tells the revisions there are",
            ),
            RebuildError::Damaged(_) | RebuildError::Record(..) => {
                failure.hint("`etcdsnap verify FILE` tells all that is wrong and what it means")
            }
            RebuildError::Build(BuildError::Io(error)) => unbuilt(&error),
            _ => failure.hint("no file that etcd wrote comes to this; `etcdsnap verify FILE` tells more"),
        }
    }
}

impl From<RepackError> for Failure {
    fn from(error: RepackError) -> Self {
        let failure = Self::no(error.to_string());
        match error {
            RepackError::Source(error) => error.into(),
            RepackError::File(error) => error.into(),
            RepackError::Rebuild(error) => error.into(),
            RepackError::NoMember { .. } => Self::new(error.to_string())
                .hint("name a data directory (with member/snap/db in it), a db file or a snapshot"),
            RepackError::Damaged(report) => with_damage(failure, &report)
                .hint("a clean copy of damaged data would only hide the damage: use another copy or backup")
                .hint("if there is none, `etcdsnap salvage FILE OUT.db` saves what is left and tells what is not")
                .hint("`etcdsnap verify FILE` tells all that is wrong and what it means"),
            RepackError::DigestDiffers(report) => {
                let (mut failure, is_stale) = digest_differs(&report);
                failure.evidence.push("a new digest over it would only hide that".to_owned());
                if is_stale {
                    failure.hint("if you know which tool it was: --skip-hash-check goes on; all other checks were passed")
                } else {
                    failure
                        .hint("use another copy of this backup, or another backup")
                        .hint("--skip-hash-check goes on; all other checks were passed")
                }
            }
            RepackError::ReadBack(_) => failure.hint(
                "the disk did not keep what was written to it, or the source changed; nothing was published",
            ),
            _ => failure,
        }
    }
}

impl From<SalvageError> for Failure {
    fn from(error: SalvageError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            SalvageError::Source(error) => error.into(),
            SalvageError::File(error) => error.into(),
            SalvageError::Nothing { .. } => failure
                .hint("use another copy of this backup, or another backup")
                .hint("`etcdsnap carve FILE` shows what single values there may be"),
            SalvageError::Build(BuildError::Io(error)) => unbuilt(&error),
            SalvageError::ReadBack(report) => {
                let mut failure = failure;
                for (check, code, _, count, findings) in report.findings.kinds().into_iter().take(3) {
                    let first = findings.first().map(super::words::line).unwrap_or_default();
                    failure.evidence.push(format!("{check}: {code} ({count}): {first}"));
                }
                failure.hint(
                    "the disk did not keep what was written to it, or the source changed; nothing was published",
                )
            }
            _ => failure.hint("`etcdsnap verify FILE` tells all that is wrong and what it means"),
        }
    }
}

/// That the result cannot be written.
fn unbuilt(error: &io::Error) -> Failure {
    Failure::unwritten(error)
        .saying(format!("cannot write the result: {error}"))
        .hint("nothing was left behind: look at the disk, and try again")
}

/// That the digest does not match, and whether a tool that wrote into the file is why.
fn digest_differs(report: &Report) -> (Failure, bool) {
    let mut failure = Failure::no("the digest does not match: the file is not what etcd saved");
    let found = digest_finding(report);
    let is_stale = found.as_ref().is_some_and(|(code, _)| *code == "digest-stale");
    failure.evidence.extend(found.map(|(_, told)| told));
    if is_stale {
        failure.evidence.push(
            "a tool has written into the file since (etcd-dump-db, `etcdutl hashkv`, defrag)".to_owned(),
        );
    }
    (failure, is_stale)
}

/// The first things that are wrong with a damaged file.
fn with_damage(mut failure: Failure, report: &Report) -> Failure {
    for (check, code, grade, count, findings) in report.findings.kinds().into_iter().take(3) {
        if grade >= etcdsnap::ops::finding::Grade::DataLost {
            let first = findings.first().map(super::words::line).unwrap_or_default();
            failure.evidence.push(format!("{check}: {code} ({count}): {first}"));
        }
    }
    failure
}

/// What `verify` says about the digest: the finding's code and its line.
pub(crate) fn digest_finding(report: &Report) -> Option<(&'static str, String)> {
    let kinds = report.findings.kinds();
    let (_, code, .., findings) = kinds.into_iter().find(|(check, ..)| *check == Check::Digest)?;
    Some((code, super::words::line(findings.first()?)))
}

/// What the flags of a restore came to, as far as it can be compared by eye.
fn comes_to(summary: &Summary) -> String {
    let members = summary.members.iter().map(|member| {
        let learner = if member.is_learner { ", learner" } else { "" };
        format!("{} ({}{learner})", member.name, member.peer_urls.join(","))
    });
    let revision = |revision: i64| grouped(revision.unsigned_abs());
    format!(
        "here it is cluster {} of {}; revision {}, compacted at {}",
        summary.cluster,
        members.collect::<Vec<_>>().join(", "),
        revision(summary.revision_after),
        summary.compact_revision.map_or_else(|| "none".to_owned(), revision)
    )
}

/// Why a target cannot be used, with sizes as people read them.
pub(crate) fn target_fault(error: &TargetError) -> String {
    match error {
        TargetError::NoSpace { path, needed, available } => {
            format!(
                "{} has {} free, {} are needed",
                path.display(),
                humanized(*available),
                humanized(*needed)
            )
        }
        error => error.to_string(),
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let failure = match &error {
            RestoreError::Target(_) | RestoreError::NotDurable(_) => Self::unwritten(&error),
            _ => Self::new(error.to_string()),
        };
        match error {
            RestoreError::Source(error) => error.into(),
            RestoreError::MissingDigest(report) => match digest_finding(&report) {
                Some(("digest-cut", told)) => Self::no("the snapshot's digest is not whole, or not at its end")
                    .found(told)
                    .hint("the file was cut, or something was written behind it: use another copy of this backup")
                    .hint("if there is none: the rest was checked and is readable; --skip-hash-check restores it, changed bytes inside values and all"),
                Some(("digest-lost", _)) => Self::no("the snapshot has no digest to check it by")
                    .hint("etcd writes one behind every snapshot, and this one ends before it: use another copy of this backup")
                    .hint("if there is none: everything else was checked and is sound; --skip-hash-check restores it"),
                _ => Self::no("the snapshot has no digest to check it by")
                    .hint("a copy of a stopped member's db file has none: --skip-hash-check restores it; everything else was checked and is sound"),
            },
            RestoreError::DigestDiffers(report) => {
                let (failure, is_stale) = digest_differs(&report);
                if is_stale {
                    failure.hint("its content is sound: --skip-hash-check restores it")
                } else {
                    failure
                        .hint("use another copy of this backup, or another backup")
                        .hint("if there is none: the rest was checked and is readable; --skip-hash-check restores it, changed bytes inside values and all")
                }
            }
            RestoreError::Damaged(report) => {
                with_damage(Self::no("the snapshot is damaged and was not restored"), &report)
                    .hint("`etcdsnap verify FILE` tells all that is wrong; use another copy or another backup")
                    .hint("if there is none: `etcdsnap salvage FILE OUT.db` first, then restore OUT.db")
            }
            RestoreError::NotADatabase(_) => Self { code: 1, ..failure },
            RestoreError::NotDurable(_) => failure.hint(
                "the directory is complete and can be used; run `sync` before you rely on it surviving a power cut",
            ),
            RestoreError::UnknownLine(_) => failure.hint("use a newer etcdsnap, or the etcdutl of that etcd"),
            RestoreError::BumpTooFar { .. } => failure
                .hint("--bump-revision auto goes as far as is needed: 1000000000, or the snapshot's own revision if that is more"),
            RestoreError::BumpTooShort { .. } => {
                failure.hint("clients would see the revision go back: use --bump-revision auto")
            }
            RestoreError::NewerThanTarget { target, .. } => failure
                .hint(format!("--downgrade takes the marks of newer lines out of it, as `etcdutl migrate` does, so that etcd {target} starts"))
                .hint("or leave --target-version out, and start the etcd that the snapshot is from"),
            RestoreError::CannotDowngrade { .. } => failure
                .hint("upstream's downgrade ends at 3.5, too: restore with --target-version 3.5 --downgrade"),
            RestoreError::OtherState { summary, .. } => Self::no(failure.message)
                .found(comes_to(&summary))
                .hint("compare that with what the other node printed: if it differs, flags do that must be the same, --initial-cluster, --initial-cluster-token, --learners, --bump-revision or what is left out")
                .hint("if it is the same, this node's snapshot is another file: compare `sha256sum FILE` on both")
                .hint("nothing was written; the first restore printed the command line for the other nodes"),
            RestoreError::Patch(_) => failure
                .hint("`etcdsnap verify FILE` tells what is wrong; use another copy or another backup")
                .hint("if there is none: `etcdsnap salvage FILE OUT.db` first, then restore OUT.db"),
            RestoreError::HashKv(error) => error.into(),
            RestoreError::Rebuild(error) => error.into(),
            RestoreError::Refused(refusal) => super::refused::refused(&[refusal], "FILE"),
            RestoreError::NotAsPlanned(_) => failure.hint(
                "the disk did not keep what was written to it, or the source changed; nothing was published",
            ),
            RestoreError::Members(NewMembersError::UnknownLearner { .. }) => {
                failure.hint("--learners takes the names of members, as the list of the new members has them")
            }
            RestoreError::Members(NewMembersError::NoVoter) => {
                failure.hint("leave at least one member out of --learners; learners can be promoted later, one at a time")
            }
            RestoreError::Target(error @ TargetError::NoSpace { .. }) => failure.saying(target_fault(&error))
                .hint("free some space, or restore to another file system"),
            RestoreError::Target(error) => match error {
                TargetError::NotEmpty { .. } => {
                    failure.hint("restore to a new directory, or move what is there aside: --force does that (nothing is ever overwritten or deleted)")
                }
                TargetError::IsMember { .. } => failure.hint(
                    "with that directory as --data-dir, --force moves this one aside whole; nothing was changed",
                ),
                TargetError::NotADirectory { .. } => failure.hint("name a directory that is empty or not there yet"),
                TargetError::Foreign { .. } => failure.hint("look into it, and move it away if it is nobody's"),
                TargetError::NotRoot { .. } => failure.hint("leave out --owner, or run as root"),
                TargetError::WalPlace { .. } => {
                    failure.hint("name a directory outside the data directory, or leave --wal-dir out")
                }
                TargetError::Io { error, .. } if error.kind() == io::ErrorKind::AlreadyExists => {
                    failure.hint("something else has put it there in the meantime: look at it, then restore to a new directory")
                }
                TargetError::InUse { .. } => failure.hint(
                    "stop that etcd first: `systemctl stop etcd`, or with kubeadm move its manifest out of /etc/kubernetes/manifests and wait for the container to end",
                ),
                TargetError::ParentNotADirectory { .. } => {
                    failure.hint("name a directory below another one; those on the way are made if need be")
                }
                TargetError::DanglingLink { .. } => {
                    failure.hint("make the directory that it leads to (is a disk not mounted?), or name another target")
                }
                TargetError::UpFromNowhere { .. } => failure.hint("write the path without `..`"),
                TargetError::OutDir { .. } => {
                    failure.hint("name a directory that is not there yet; on a disk of its own, one below its mount point")
                }
                TargetError::UnsafeName { .. } => {
                    failure.hint("restore that member by itself, with --name and a --data-dir of your choice")
                }
                TargetError::NotMovable { .. } => {
                    failure.hint("move what is in it aside by hand, or restore to a new directory")
                }
                TargetError::Busy { .. } => failure.hint("wait for it to end"),
                TargetError::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => {
                    failure.hint("the disk is full; nothing was left behind: free some space and try again")
                }
                TargetError::Io { error, .. } if error.kind() == io::ErrorKind::QuotaExceeded => {
                    failure.hint("the quota of this user, group or project on that disk is used up; nothing was left behind: free some space, raise it, or restore to another disk")
                }
                TargetError::Io { error, .. } if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                    failure.hint("the disk is mounted read-only, perhaps after an error on it (see `dmesg`): mount it writable, or restore to another one")
                }
                TargetError::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                    failure.hint("etcd's directories usually belong to root or etcd: try sudo")
                }
                TargetError::Io { .. } => {
                    failure.hint("the system refused it: check that disk, or restore to another one")
                }
                _ => failure,
            },
            RestoreError::ReadBack { .. } | RestoreError::StagedWal { .. } | RestoreError::StagedSnap { .. } => {
                failure.hint("the disk did not keep what was written to it; nothing was published")
            }
            _ => failure,
        }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        RestoreError::Target(error).into()
    }
}
