//! Programs run to their end, and where upstream's are.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What a program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    command: String,
    code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Panics unless the program ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code of {}\nstdout: {}\nstderr: {}",
            self.command,
            tail(&self.text()),
            tail(&self.stderr)
        );
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error} in {}", self.command, tail(&self.text())))
    }
}

/// The end of a long text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// Runs a program to its end, which must come within [`PATIENCE`].
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Answer {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let code = wait(&mut child, &shown);
    let gather = |reader: std::thread::JoinHandle<Vec<u8>>| reader.join().expect("a reader");
    let stderr = String::from_utf8_lossy(&gather(stderr)).into_owned();
    Answer { command: shown, code, stdout: gather(stdout), stderr }
}

fn drain(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    let mut stream = stream.expect("a pipe");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("a readable pipe");
        bytes
    })
}

/// Waits for the end of a process, and kills it if that does not come.
#[track_caller]
pub(crate) fn wait(child: &mut Child, shown: &str) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().expect("a child to kill");
            child.wait().expect("a child to wait for");
            panic!("{shown} did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs etcdsnap.
#[track_caller]
pub(crate) fn etcdsnap<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Answer {
    run(Command::new(env!("CARGO_BIN_EXE_etcdsnap")).args(args).env_remove("ETCDSNAP_FILE"))
}

/// Upstream's programs.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The programs, if all of `names` are there.
    ///
    /// Says loudly that a test is skipped if not, or fails if that is not allowed.
    #[track_caller]
    pub(crate) fn find(names: &[String]) -> Option<Self> {
        let folder = match std::env::var_os("ETCDSNAP_UPSTREAM_BIN") {
            Some(folder) => PathBuf::from(folder),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upstream/bin"),
        };
        let missing: Vec<_> = names.iter().filter(|name| !folder.join(name).is_file()).collect();
        if missing.is_empty() {
            return Some(Self { folder });
        }
        let message = format!(
            "{missing:?} not found in {}: run tests/upstream/build.sh or set ETCDSNAP_UPSTREAM_BIN",
            folder.display()
        );
        let required = std::env::var_os("ETCDSNAP_REQUIRE_UPSTREAM").is_some_and(|value| value == "1");
        assert!(!required, "{message}");
        let thread = std::thread::current();
        // Not eprintln: a passing test's output is captured, and this must be seen.
        let line = format!("SKIPPED: {}: {message}\n", thread.name().unwrap_or_default());
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("stderr");
        None
    }

    /// The server and the client of some lines.
    #[track_caller]
    pub(crate) fn of_lines(lines: &[&str]) -> Option<Self> {
        let names: Vec<_> =
            lines.iter().flat_map(|line| [format!("etcd-{line}"), format!("etcdctl-{line}")]).collect();
        Self::find(&names)
    }

    /// As [`of_lines`](Self::of_lines), with `etcdutl` of one line.
    #[track_caller]
    pub(crate) fn with_etcdutl(line: &str) -> Option<Self> {
        Self::find(&["etcd", "etcdctl", "etcdutl"].map(|tool| format!("{tool}-{line}")))
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("ETCD") {
                command.env_remove(variable);
            }
        }
        command.env("ETCDCTL_API", "3");
        command
    }
}
