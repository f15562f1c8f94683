//! A report that can be shown to others: what was read, that it was not changed
//! by it, which program read it, and what was found.
//!
//! Each input is hashed and looked at before the command and again after it, and
//! verified whole, whatever the command was. The report's place is taken before
//! anything else happens, so that no work is done that cannot be written down.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use etcdsnap::codec::checksum::Sha256Stream;
use etcdsnap::kube::unix_time::UnixTime;
use etcdsnap::ops::verify::{Options, Report, verify};
use etcdsnap::ops::{Progress, Settings};
use etcdsnap::source::Source;
use serde::Serialize;

use super::Outcome;
use super::commands::verify::FileDocument;
use super::commands::{SCHEMA_VERSION, write_json};
use super::failure::Failure;
use super::output::text::{hex, safe, shown};

/// A report in the making.
pub(crate) struct Evidence {
    path: PathBuf,
    file: File,
    started: String,
    inputs: Vec<Input>,
}

/// A file that the command reads.
struct Input {
    path: PathBuf,
    before: Result<State, String>,
}

/// What a file was at one moment.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    size: u64,
    sha256: String,
    modified: String,
    changed: String,
    /// Not compared: where the system does not allow to read without leaving a
    /// trace, this is the trace.
    accessed: String,
    device: String,
    inode: u64,
    links: u64,
    mode: String,
    uid: u32,
    gid: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d> {
    schema_version: u32,
    tool: Tool,
    command: Vec<String>,
    working_directory: String,
    host: String,
    uid: u32,
    started_at: &'d str,
    finished_at: String,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'d str>,
    /// What the command warned of, as it went to stderr.
    warnings: Vec<String>,
    output: Output,
    written: Vec<WrittenDocument>,
    inputs: Vec<InputDocument<'d>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    name: &'static str,
    version: &'static str,
    platform: String,
    /// How it was built: `release`, or `debug` with assertions.
    profile: &'static str,
    executable: String,
    executable_sha256: Option<String>,
}

/// The C library that it was built against.
const ENVIRONMENT: &str = if cfg!(target_env = "musl") {
    "musl"
} else if cfg!(target_env = "gnu") {
    "gnu"
} else {
    "other"
};

/// A file that the command made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenDocument {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What went to stdout.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    bytes: u64,
    sha256: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InputDocument<'d> {
    file: String,
    path: String,
    /// Nothing, if there is nothing to compare: it could not be read then.
    #[serde(skip_serializing_if = "Option::is_none")]
    unchanged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'d State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'d State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<FileDocument<'d>>,
}

impl Evidence {
    /// Takes the report's place and looks at the inputs.
    pub(crate) fn begin(path: &Path, inputs: Vec<PathBuf>) -> Result<Self, Failure> {
        if inputs.is_empty() {
            return Err(Failure::usage("--evidence: this command reads no file").hint("leave --evidence out"));
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| {
            let failure = Failure::new(format!("cannot create the report {}: {error}", path.display()));
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    failure.hint("a report is never overwritten: name another file")
                }
                _ => failure.hint("name a file in a directory that exists and can be written to"),
            }
        })?;
        let inputs = inputs.into_iter().map(|path| Input { before: state(&path), path }).collect();
        Ok(Self { path: path.to_owned(), file, started: now(), inputs })
    }

    /// Looks at the inputs again and writes the report. The outcome is that of
    /// the command, unless an input is not what it was.
    pub(crate) fn finish(
        mut self,
        result: Result<Outcome, Failure>,
        (bytes, sha256): (u64, [u8; 32]),
        written: &[PathBuf],
        warnings: Vec<String>,
    ) -> Result<Outcome, Failure> {
        let reports: Vec<_> = self.inputs.iter().map(|input| examine(&input.path)).collect();
        let after: Vec<_> = self.inputs.iter().map(|input| state(&input.path)).collect();
        let mut changed = Vec::new();
        let inputs = self.inputs.iter().zip(&after).zip(&reports).map(|((input, after), report)| {
            let unchanged = input
                .before
                .as_ref()
                .ok()
                .map(|before| after.as_ref().is_ok_and(|after| before.is_same(after)));
            if unchanged == Some(false) {
                changed.push(input.path.clone());
            }
            let error = input.before.as_ref().err().or(after.as_ref().err()).or(report.as_ref().err());
            InputDocument {
                file: shown(&input.path),
                path: std::path::absolute(&input.path)
                    .map_or_else(|_| shown(&input.path), |path| shown(&path)),
                unchanged,
                before: input.before.as_ref().ok(),
                after: after.as_ref().ok(),
                error: error.map(String::as_str),
                verify: report.as_ref().ok().map(|report| {
                    let outcome = if report.is_sound() { Outcome::Yes } else { Outcome::No };
                    FileDocument::of(&input.path, report, outcome)
                }),
            }
        });
        let inputs: Vec<_> = inputs.collect();
        let error = result.as_ref().err().map(Failure::message);
        let document = Document {
            schema_version: SCHEMA_VERSION,
            tool: Tool::this(),
            command: without_hashes(std::env::args_os().map(|word| told(&word))),
            working_directory: std::env::current_dir().map_or_else(|_| String::new(), |path| shown(&path)),
            host: safe(rustix::system::uname().nodename().to_bytes()),
            uid: rustix::process::geteuid().as_raw(),
            started_at: &self.started,
            finished_at: now(),
            exit_code: if changed.is_empty() { code(&result) } else { 2 },
            error,
            warnings,
            output: Output { bytes, sha256: hex(&sha256) },
            written: files_in(written).iter().map(|path| WrittenDocument::of(path)).collect(),
            inputs,
        };
        let mut written = Vec::new();
        write_json(&mut written, &document)?;
        let written = self.file.write_all(&written).and_then(|()| self.file.sync_all());
        written.map_err(|error| {
            Failure::new(format!("cannot write the report {}: {error}", self.path.display()))
        })?;
        if changed.is_empty() {
            return result;
        }
        // What the command itself said is said as well.
        if let Err(failure) = result {
            failure.report();
        }
        let names: Vec<_> = changed.iter().map(|path| shown(path)).collect();
        Err(Failure::new(format!("{} changed while it was examined", names.join(", ")))
            .hint("someone else wrote to it: the report says what it was before and after"))
    }
}

impl State {
    /// Whether the file is the same and holds the same. That it was read may show.
    fn is_same(&self, later: &Self) -> bool {
        self.size == later.size
            && self.sha256 == later.sha256
            && self.modified == later.modified
            && self.changed == later.changed
            && (&self.device, self.inode) == (&later.device, later.inode)
    }
}

impl Tool {
    fn this() -> Self {
        let executable = std::env::current_exe().unwrap_or_default();
        Self {
            name: "etcdsnap",
            version: env!("CARGO_PKG_VERSION"),
            platform: format!("{}-{}-{}", std::env::consts::ARCH, std::env::consts::OS, ENVIRONMENT),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" },
            executable_sha256: sha256_of(Path::new("/proc/self/exe"))
                .or_else(|_| sha256_of(&executable))
                .ok(),
            executable: shown(&executable),
        }
    }
}

impl WrittenDocument {
    fn of(path: &Path) -> Self {
        let found = sha256_of(path);
        Self {
            file: std::path::absolute(path).map_or_else(|_| shown(path), |path| shown(&path)),
            size: std::fs::metadata(path).ok().map(|metadata| metadata.len()),
            error: found.as_ref().err().map(|error| format!("cannot read it: {error}")),
            sha256: found.ok(),
        }
    }
}

/// Files, those in directories included, by name. Links are not followed.
fn files_in(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut rest = paths.to_vec();
    while let Some(path) = rest.pop() {
        let is_directory = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        match std::fs::read_dir(&path) {
            Ok(entries) if is_directory => {
                rest.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
            }
            _ => {
                files.insert(path);
            }
        }
    }
    files
}

/// What the program ends with.
fn code(result: &Result<Outcome, Failure>) -> u8 {
    match result {
        Ok(Outcome::Yes) => 0,
        Ok(Outcome::No) => 1,
        Err(failure) => failure.code(),
    }
}

fn state(path: &Path) -> Result<State, String> {
    let source = Source::open(path).map_err(|error| error.to_string())?;
    let metadata = match source.file() {
        Some(file) => file.metadata(),
        None => std::fs::metadata(path),
    };
    let metadata = metadata.map_err(|error| format!("cannot examine {}: {error}", shown(path)))?;
    let sha256 = sha256(source.bytes());
    source.finish().map_err(|error| error.to_string())?;
    Ok(State {
        size: metadata.len(),
        sha256,
        modified: moment(metadata.mtime(), metadata.mtime_nsec()),
        changed: moment(metadata.ctime(), metadata.ctime_nsec()),
        accessed: moment(metadata.atime(), metadata.atime_nsec()),
        device: device(&metadata),
        inode: metadata.ino(),
        links: metadata.nlink(),
        mode: format!("{:04o}", metadata.mode() & 0o7777),
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

fn device(metadata: &Metadata) -> String {
    let device = metadata.dev();
    format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
}

/// Verifies an input, as `etcdsnap verify` does.
fn examine(path: &Path) -> Result<Report, String> {
    let source = Source::open(path).map_err(|error| error.to_string())?;
    let progress = Progress::default();
    verify(&source, &Settings::new(&progress), &Options::default()).map_err(|error| error.to_string())
}

fn sha256(bytes: &[u8]) -> String {
    let mut hash = Sha256Stream::new();
    // In pieces, so that a file that is cut meanwhile is noticed by the map's guard.
    bytes.chunks(1 << 20).for_each(|piece| hash.update(piece));
    hex(&hash.finish())
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut piece) = (Sha256Stream::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finish())),
            read => hash.update(piece.get(..read).unwrap_or_default()),
        }
    }
}

/// RFC 3339, in UTC, with nanoseconds.
fn moment(seconds: i64, nanoseconds: i64) -> String {
    let Some(time) = UnixTime::from_seconds(seconds) else { return format!("{seconds}.{nanoseconds:09}") };
    format!("{}.{nanoseconds:09}Z", time.to_string().trim_end_matches('Z'))
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    moment(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), i64::from(since.subsec_nanos()))
}

/// The hash of a password is as little for others' eyes as the password.
fn without_hashes(words: impl Iterator<Item = String>) -> Vec<String> {
    const OPTION: &str = "--reset-root-password";
    let is_hash = |word: &str| word.starts_with("$2");
    let mut is_next = false;
    let words = words.map(|word| match word.split_once('=') {
        Some((OPTION, hash)) if is_hash(hash) => format!("{OPTION}=<hash>"),
        _ if is_next && is_hash(&word) => "<hash>".to_owned(),
        _ => {
            is_next = word == OPTION;
            word
        }
    });
    words.collect()
}

fn told(word: &OsString) -> String {
    safe(word.as_encoded_bytes())
}

/// Passes bytes on, and keeps count and hash of them.
pub(crate) struct Witnessed<W> {
    out: W,
    hash: Option<(u64, Sha256Stream)>,
}

impl<W: Write> Witnessed<W> {
    /// Counts only if it `matters`.
    pub(crate) fn new(out: W, matters: bool) -> Self {
        Self { out, hash: matters.then(|| (0, Sha256Stream::new())) }
    }

    /// Number and SHA-256 of the bytes that were passed on.
    pub(crate) fn account(&mut self) -> (u64, [u8; 32]) {
        let (bytes, hash) = self.hash.take().unwrap_or_default();
        (bytes, hash.finish())
    }
}

impl<W: Write> Write for Witnessed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        if let (Some((count, hash)), Some(bytes)) = (&mut self.hash, bytes.get(..written)) {
            *count = count.saturating_add(written as u64);
            hash.update(bytes);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
