//! A terminal of its own for a program that wants one.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Both ends of a terminal: what a person sees and types, and what a program has.
pub(crate) struct Terminal {
    person: File,
    program: File,
    seen: Vec<u8>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&person).expect("granted");
        unlockpt(&person).expect("unlocked");
        let name = ptsname(&person, Vec::new()).expect("a name");
        let program = File::options().read(true).write(true).open(OsStr::from_bytes(name.as_bytes()));
        Self { person: File::from(person), program: program.expect("opened"), seen: Vec::new() }
    }

    /// A terminal of so many columns, that does not tell its lines.
    pub(crate) fn with_columns(columns: u16) -> Self {
        let terminal = Self::new();
        let size = Winsize { ws_row: 0, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal.person, size).expect("resized");
        terminal
    }

    /// The end of the program.
    pub(crate) fn program(&self) -> File {
        self.program.try_clone().expect("another one")
    }

    /// Starts a program that has this terminal, and pipes for its answer.
    pub(crate) fn start(&self, program: &str, args: &[&str]) -> Child {
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", program]).args(args);
        command.stdin(self.program()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("started")
    }

    /// Reads until these words are there.
    pub(crate) fn see(&mut self, words: &str) {
        let from = self.seen.len();
        while !self.seen[from..].windows(words.len()).any(|seen| seen == words.as_bytes()) {
            assert!(read(&mut self.person, &mut self.seen), "something is said");
        }
    }

    /// Reads until no program has this terminal any more: all that was seen.
    pub(crate) fn all_until_closed(self) -> String {
        // Its own end of the program keeps a terminal open.
        let Self { mut person, program, mut seen } = self;
        drop(program);
        while read(&mut person, &mut seen) {}
        String::from_utf8(seen).expect("UTF-8")
    }

    /// All that was seen.
    pub(crate) fn seen(&self) -> &str {
        std::str::from_utf8(&self.seen).expect("UTF-8")
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).expect("typed");
    }

    /// Whether what is typed is shown.
    pub(crate) fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.program).expect("a terminal").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}

/// Reads some more, unless nobody writes there any more, which Linux calls an error.
fn read(person: &mut File, seen: &mut Vec<u8>) -> bool {
    let mut piece = [0; 256];
    let Ok(read @ 1..) = person.read(&mut piece) else { return false };
    seen.extend_from_slice(&piece[..read]);
    true
}

/// Starts a program that has no terminal at all.
pub(crate) fn without_terminal(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new("setsid");
    command.args(["--wait", program]).args(args).stdin(Stdio::null());
    command.output().expect("an answer")
}
