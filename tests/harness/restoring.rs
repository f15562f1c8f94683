//! Restores as tests ask for them, and what they leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::{Answer, PROGRAM, ask, can_mount, fixture, make_snapshot, program, skipped, tree};

pub(crate) const URL: &str = "https://10.20.30.101:2380";
pub(crate) const THREE: &str =
    "node1=https://10.20.30.101:2380,node2=https://10.20.30.102:2380,node3=https://10.20.30.103:2380";

pub(crate) fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Way 1, one new member, to `target`.
pub(crate) fn restore(file: &str, target: &Path, more: &[&str]) -> Answer {
    let one = format!("node1={URL}");
    let mut args = vec!["restore", file, "--data-dir", text(target)];
    args.extend(["--name=node1", "--initial-advertise-peer-urls", URL, "--initial-cluster", &one]);
    args.extend(more);
    ask(&args)
}

/// What a restored directory holds.
pub(crate) fn member(target: &Path) -> Vec<String> {
    let found = tree(target);
    found.into_iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

pub(crate) const MEMBER: [&str; 6] = [
    "member/",
    "member/snap/",
    "member/snap/0000000000000001-0000000000000001.snap",
    "member/snap/db",
    "member/wal/",
    "member/wal/0000000000000000-0000000000000000.wal",
];

/// That nothing is beside the target.
#[track_caller]
pub(crate) fn nothing_else(parent: &Path, names: &[&str]) {
    let mut found: Vec<_> = fs::read_dir(parent)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, names);
}

/// Runs a shell script where it may mount.
pub(crate) fn mounting(place: &TempDir, script: &str) -> Answer {
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-ec", script]).env("E", PROGRAM).env("FILE", fixture("etcd-3.6"));
    command.env("P", place.path()).env_remove("ETCDSNAP_FILE");
    Answer::of(&mut command)
}

pub(crate) fn no_mounts(what: &str) -> bool {
    if can_mount() {
        return false;
    }
    skipped(what, "`unshare -m` and mount need root");
    true
}

/// A snapshot of some 200 MB, made once a run where the build keeps such things.
pub(crate) fn big() -> &'static str {
    static BIG: OnceLock<PathBuf> = OnceLock::new();
    text(BIG.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = directory.join("big.db");
        let value = vec![b'v'; 2 << 20];
        let keys: Vec<String> = (0..96).map(|n| format!("/big/{n:03}")).collect();
        let puts: Vec<_> = keys.iter().map(|key| (key.as_bytes(), value.as_slice())).collect();
        let unfinished = directory.join(format!("big.{}.db", std::process::id()));
        make_snapshot(&unfinished, &puts);
        fs::rename(&unfinished, &path).expect("renamed");
        path
    }))
}

pub(crate) fn start(target: &Path, more: &[&str]) -> Child {
    let mut command = program();
    command.args(["-q", "restore", big(), "--data-dir", text(target)]).args(more);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started")
}

/// Bytes of the db, the WAL and the `.snap`: the same for the same request.
pub(crate) fn content(target: &Path, wal: &Path) -> [Vec<u8>; 3] {
    let snap = target.join("member/snap");
    [snap.join("db"), snap.join(SNAP), wal.join(SEGMENT)]
        .map(|path| fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

pub(crate) const SNAP: &str = "0000000000000001-0000000000000001.snap";
pub(crate) const SEGMENT: &str = "0000000000000000-0000000000000000.wal";
