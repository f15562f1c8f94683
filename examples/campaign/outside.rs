//! Programs that are run on a mutation: the real program, and `bbolt check`.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::case::Came;

/// What a program left behind.
enum Ended {
    Code(i32, String),
    Signal(i32, String),
    Hung,
}

/// Runs a program without input, within `limit`. Its stderr goes through a file, so
/// that a full pipe cannot stop it.
fn run(command: &mut Command, stderr: &Path, limit: Duration) -> io::Result<Ended> {
    command.stdin(Stdio::null()).stderr(File::create(stderr)?);
    let mut child = command.spawn()?;
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::Hung);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    };
    let mut told = Vec::new();
    File::open(stderr)?.take(1 << 16).read_to_end(&mut told)?;
    let told = String::from_utf8_lossy(&told).into_owned();
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code, told),
        (None, signal) => Ended::Signal(signal.unwrap_or(0), told),
    })
}

/// The real program: it must end with 0, 1 or 2 and without a word of a panic.
pub(crate) fn program(path: &Path, words: &[String], scratch: &Path, limit: Duration) -> io::Result<Came> {
    let mut command = Command::new(path);
    command.args(words).env_remove("ETCDSNAP_FILE").stdout(Stdio::null());
    Ok(match run(&mut command, &scratch.join("stderr"), limit)? {
        Ended::Hung => Came::Hung,
        Ended::Signal(signal, told) => Came::Crashed(format!("signal {signal}: {}", first_line(&told))),
        Ended::Code(code, told) if told.contains("panicked") => {
            Came::Crashed(format!("exit code {code}: {}", first_line(&told)))
        }
        Ended::Code(code, told) => match u8::try_from(code) {
            Ok(code @ 0..=2) => Came::Answered(code),
            _ => Came::Crashed(format!("exit code {code}: {}", first_line(&told))),
        },
    })
}

/// What `bbolt check` says against a file: a fault, a crash, or no end.
pub(crate) fn bbolt(path: &Path, file: &Path, scratch: &Path, limit: Duration) -> io::Result<Came> {
    let mut command = Command::new(path);
    command.arg("check").arg(file).stdout(File::create(scratch.join("stdout"))?);
    let ended = run(&mut command, &scratch.join("stderr"), limit)?;
    let out = std::fs::read(scratch.join("stdout"))?;
    let out = String::from_utf8_lossy(&out);
    Ok(Came::Bbolt(match ended {
        Ended::Hung => Some("it does not come to an end".to_owned()),
        Ended::Signal(signal, told) => {
            Some(format!("it crashed with signal {signal}: {}", first_line(&told)))
        }
        Ended::Code(0, _) => None,
        Ended::Code(_, told) => Some(first_line(&format!("{out}\n{told}")).to_owned()),
    }))
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing was said")
}
