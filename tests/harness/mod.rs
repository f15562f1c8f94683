//! What the tests of the whole program share: running it, and snapshots made up
//! for one question.

// Every test crate takes what it needs.
#![allow(dead_code)]

pub(crate) mod restoring;
pub(crate) mod terminal;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use etcdsnap::codec::checksum::{Sha256Stream, fnv1a_64};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_etcdsnap");

/// The snapshots of `fixtures/snapshots`, without `.db`.
pub(crate) const SNAPSHOTS: [&str; 5] =
    ["etcd-3.4", "etcd-3.5", "etcd-3.6", "k8s-1.35-etcd-3.5-encrypted", "k8s-1.35-etcd-3.6"];

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

pub(crate) fn fixture(name: &str) -> String {
    let path = fixtures().join("snapshots").join(format!("{name}.db"));
    path.to_str().expect("a UTF-8 path").to_owned()
}

/// A text that was recorded.
pub(crate) fn recorded(name: &str) -> String {
    let path = fixtures().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The program, with nothing of the environment that it listens to.
pub(crate) fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_remove("ETCDSNAP_FILE").env_remove("COLUMNS").stdin(Stdio::null());
    command
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) asked: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self::from_output(&format!("{command:?}"), output)
    }

    pub(crate) fn from_output(asked: &str, output: Output) -> Self {
        let err = String::from_utf8(output.stderr).expect("stderr is UTF-8");
        assert!(!err.contains("panicked"), "{asked}\n{err}");
        assert_eq!(output.status.signal(), None, "{asked}\n{err}");
        Self { asked: asked.to_owned(), code: output.status.code(), out: output.stdout, err }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap_or_else(|error| panic!("{}: {error}", self.asked))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}\n{}", self.asked, self.text(), self.err))
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}\n{}", self.asked, self.text(), self.err);
        self
    }

    /// That it ended with one clear error and at least one way to go on.
    #[track_caller]
    pub(crate) fn refuses(self, code: i32) -> Self {
        let answer = self.exits(code);
        let errors = answer.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "one line `error: `: {}\n{}", answer.asked, answer.err);
        assert!(
            answer.err.lines().any(|line| line.starts_with("  hint: ") || line.contains("try '--help'")),
            "a hint: {}\n{}",
            answer.asked,
            answer.err
        );
        answer
    }

    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        let all = format!("{}{}", String::from_utf8_lossy(&self.out), self.err);
        assert!(all.contains(words), "{:?} in the answer to {}\n{all}", words, self.asked);
        self
    }
}

pub(crate) fn ask<S: AsRef<OsStr>>(args: &[S]) -> Answer {
    Answer::of(program().args(args))
}

/// Asks with something on stdin.
pub(crate) fn ask_with<S: AsRef<OsStr>>(args: &[S], input: &[u8]) -> Answer {
    use std::io::Write as _;

    let mut command = program();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that wants no more has answered already.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    Answer::from_output(&format!("{command:?}"), child.wait_with_output().expect("an answer"))
}

/// Owner and group, times and bytes of a file: what reading must not change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Untouched {
    modified: (i64, i64),
    changed: (i64, i64),
    bytes: Vec<u8>,
}

impl Untouched {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).expect("the file is there");
        Self {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            bytes: fs::read(path).expect("it can be read"),
        }
    }
}

/// Everything below a directory: path, and for files their length.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below").display().to_string();
            let metadata = fs::symlink_metadata(&path).expect("metadata");
            if metadata.is_dir() {
                found.push(format!("{name}/"));
                walk(root, &path, found);
            } else {
                found.push(format!("{name} {}", metadata.len()));
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Says that something was not tested. Never silent.
pub(crate) fn skipped(what: &str, why: &str) {
    // Past the capture of the test harness.
    let _ = writeln!(
        File::options().append(true).open("/dev/stderr").expect("stderr"),
        "\nSKIPPED: {what}: {why}"
    );
}

/// Whether this process may mount in a namespace of its own.
pub(crate) fn can_mount() -> bool {
    let script = "d=$(mktemp -d) && mount -t tmpfs tmpfs $d && umount $d && rmdir $d";
    Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

const PAGE: usize = 4096;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const META: u16 = 4;

fn page_header(id: u64, flags: u16, count: usize, overflow: usize) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend(flags.to_le_bytes());
    bytes.extend(u16::try_from(count).expect("few elements").to_le_bytes());
    bytes.extend(u32::try_from(overflow).expect("few pages").to_le_bytes());
    bytes
}

/// A leaf page: elements (bucket or not, key, value).
fn leaf(id: u64, elements: &[(bool, &[u8], Vec<u8>)], padded: bool) -> Vec<u8> {
    let data: usize = elements.iter().map(|(_, key, value)| key.len() + value.len()).sum();
    let size = 16 + elements.len() * 16 + data;
    let mut bytes = page_header(id, LEAF, elements.len(), if padded { (size - 1) / PAGE } else { 0 });
    let mut position = elements.len() * 16;
    for (index, (bucket, key, value)) in elements.iter().enumerate() {
        for field in [usize::from(*bucket), position - index * 16, key.len(), value.len()] {
            bytes.extend(u32::try_from(field).expect("small").to_le_bytes());
        }
        position += key.len() + value.len();
    }
    for (_, key, value) in elements {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }
    if padded {
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    }
    bytes
}

fn branch(id: u64, children: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let mut bytes = page_header(id, BRANCH, children.len(), 0);
    let mut position = children.len() * 16;
    for (index, (key, child)) in children.iter().enumerate() {
        bytes.extend(u32::try_from(position - index * 16).expect("small").to_le_bytes());
        bytes.extend(u32::try_from(key.len()).expect("small").to_le_bytes());
        bytes.extend(child.to_le_bytes());
        position += key.len();
    }
    for (key, _) in children {
        bytes.extend_from_slice(key);
    }
    assert!(bytes.len() <= PAGE, "one branch page is enough");
    bytes.resize(PAGE, 0);
    bytes
}

fn meta(id: u64, root: u64, pages: u64, transaction: u64) -> Vec<u8> {
    let mut bytes = page_header(id, META, 0, 0);
    for field in [0xED0C_DAED_u32, 2, u32::try_from(PAGE).expect("small"), 0] {
        bytes.extend(field.to_le_bytes());
    }
    for field in [root, 0, u64::MAX, pages, transaction] {
        bytes.extend(field.to_le_bytes());
    }
    let checksum = fnv1a_64(bytes.get(16..72).expect("a meta"));
    bytes.extend(checksum.to_le_bytes());
    bytes.resize(PAGE, 0);
    bytes
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(u8::try_from(number & 127).expect("7 bits") | 128);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).expect("7 bits"));
    bytes
}

fn key_value(key: &[u8], value: &[u8], revision: u64) -> Vec<u8> {
    let mut bytes = vec![0x0a];
    bytes.extend(varint(key.len() as u64));
    bytes.extend_from_slice(key);
    for (field, number) in [(0x10, revision), (0x18, revision), (0x20, 1)] {
        bytes.push(field);
        bytes.extend(varint(number));
    }
    bytes.push(0x2a);
    bytes.extend(varint(value.len() as u64));
    bytes.extend_from_slice(value);
    bytes
}

/// Writes a snapshot of etcd 3.5 with these keys and values, put in this order
/// from revision 2 on, each in a leaf of its own. At most a hundred.
pub(crate) fn make_snapshot(path: &Path, puts: &[(&[u8], &[u8])]) {
    let mut file = std::io::BufWriter::new(File::create(path).expect("a file"));
    let mut digest = Sha256Stream::new();
    let mut put = |bytes: &[u8]| {
        digest.update(bytes);
        file.write_all(bytes).expect("room");
    };
    let record = |index: usize, key: &[u8], value: &[u8]| {
        let revision = index as u64 + 2;
        let mut id = revision.to_be_bytes().to_vec();
        id.push(b'_');
        id.extend([0; 8]);
        (id, key_value(key, value, revision))
    };
    // Where each leaf begins is known from its length alone.
    let mut children = Vec::new();
    let mut next = 4u64;
    for (index, (key, value)) in puts.iter().enumerate() {
        let (id, record) = record(index, key, value);
        let pages = (32 + id.len() + record.len()).div_ceil(PAGE);
        children.push((id, next));
        next += pages as u64;
    }
    put(&meta(0, 2, next, 7));
    put(&meta(1, 2, next, 6));
    let inline = |entries: &[(bool, &[u8], Vec<u8>)]| {
        let mut value = vec![0; 16];
        value.extend(leaf(0, entries, false));
        value
    };
    let mut key_bucket = 3u64.to_le_bytes().to_vec();
    key_bucket.extend([0; 8]);
    let meta_entries: [(bool, &[u8], Vec<u8>); 2] = [
        (false, b"consistent_index", vec![0, 0, 0, 0, 0, 0, 0, 9]),
        (false, b"term", vec![0, 0, 0, 0, 0, 0, 0, 2]),
    ];
    let mut buckets: Vec<(bool, &[u8], Vec<u8>)> = Vec::new();
    for name in [
        "alarm",
        "auth",
        "authRoles",
        "authUsers",
        "cluster",
        "key",
        "lease",
        "members",
        "members_removed",
        "meta",
    ] {
        let value = match name {
            "key" => key_bucket.clone(),
            "meta" => inline(&meta_entries),
            _ => inline(&[]),
        };
        buckets.push((true, name.as_bytes(), value));
    }
    let root = leaf(2, &buckets, true);
    assert_eq!(root.len(), PAGE);
    put(&root);
    put(&branch(3, &children));
    for (index, (key, value)) in puts.iter().enumerate() {
        let (id, record) = record(index, key, value);
        let child = children.get(index).expect("one per record").1;
        put(&leaf(child, &[(false, &id, record)], true));
    }
    let digest = digest.finish();
    file.write_all(&digest).expect("room");
    file.flush().expect("room");
}
