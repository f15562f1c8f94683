//! A new password, asked for on the terminal.
//!
//! The terminal shows nothing of it and passes every key on: so Ctrl-C is an answer like
//! any other, and the terminal is put right again whatever the answer was.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::Failure;

/// Bytes of a password that bcrypt looks at. More would be no part of it.
const LIMIT: usize = 72;
/// How often it is asked for.
const TRIES: usize = 3;

/// A terminal that does not show what is typed, until it is dropped.
struct Silent<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Silent<'t> {
    /// Forgets what was typed before.
    fn new(terminal: &'t File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_modes.remove(
            LocalModes::ECHO
                | LocalModes::ECHONL
                | LocalModes::ICANON
                | LocalModes::ISIG
                | LocalModes::IEXTEN,
        );
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        let silent = Self { terminal, before };
        tcsetattr(terminal, OptionalActions::Flush, &modes)?;
        Ok(silent)
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// What was typed, up to Enter.
enum Typed {
    Password(Zeroizing<Vec<u8>>),
    /// Ctrl-C and its like, or the end of the terminal.
    Stop,
    /// A control character is in it, which another keyboard may not have.
    Control,
    /// Longer than [`LIMIT`].
    TooLong,
}

/// Asks twice for the new password of `whom`.
///
/// # Errors
/// No terminal, answers that differ, a password that could not be given again.
pub(super) fn new_password(whom: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Of a file nothing is read here.
    ask(whom).map_err(Failure::regardless)
}

fn ask(whom: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let terminal = terminal.map_err(|error| {
        Failure::usage(format!("there is no terminal to ask for the password of {whom}: {error}"))
            .hint("give its bcrypt hash: `htpasswd -nBC 10 root` makes one, behind the colon")
    })?;
    let failed = |error: io::Error| Failure::new(format!("cannot ask for the password: {error}"));
    let silent = Silent::new(&terminal).map_err(failed)?;
    let mut terminal = silent.terminal;
    let mut tries = 0;
    loop {
        let refused = match ask_twice(&mut terminal, whom).map_err(failed)? {
            Answer::Password(password) => return Ok(password),
            Answer::Stop => return Err(Failure::new("stopped; nothing was done")),
            Answer::Refused(refused) => refused,
        };
        tries += 1;
        if tries == TRIES {
            return Err(refused);
        }
        let again = format!("That will not do: {}. Again, or Ctrl-C to give up.\r\n", refused.message());
        terminal.write_all(again.as_bytes()).map_err(failed)?;
    }
}

/// What two questions came to.
enum Answer {
    Password(Zeroizing<Vec<u8>>),
    Stop,
    Refused(Failure),
}

fn ask_twice(mut terminal: impl Read + Write, whom: &str) -> io::Result<Answer> {
    let first = match wanted(read(&mut terminal, &format!("New password of {whom}: "))?) {
        Answer::Password(first) => first,
        other => return Ok(other),
    };
    let second = match wanted(read(&mut terminal, "Once more: ")?) {
        Answer::Password(second) => second,
        Answer::Stop => return Ok(Answer::Stop),
        Answer::Refused(_) => Zeroizing::new(Vec::new()),
    };
    if first == second {
        return Ok(Answer::Password(first));
    }
    Ok(Answer::Refused(Failure::usage("the two answers differ").hint("nothing was done; try again")))
}

fn wanted(typed: Typed) -> Answer {
    Answer::Refused(match typed {
        Typed::Password(password) if password.is_empty() => {
            Failure::usage("the password is empty").hint("etcd has no users without one that can log in")
        }
        Typed::Password(password) => return Answer::Password(password),
        Typed::Stop => return Answer::Stop,
        Typed::Control => Failure::usage("there is a control character in that password")
            .hint("arrows and tabs are no part of one: type it again"),
        Typed::TooLong => Failure::usage(format!("that password has more than {LIMIT} bytes"))
            .hint("bcrypt, by which etcd keeps passwords, takes no more: choose a shorter one"),
    })
}

fn read(mut terminal: impl Read + Write, question: &str) -> io::Result<Typed> {
    terminal.write_all(question.as_bytes())?;
    terminal.flush()?;
    // Grows no further, so that no copy is left behind.
    let mut password = Zeroizing::new(Vec::with_capacity(LIMIT));
    let (mut control, mut too_long) = (false, false);
    let mut byte = Zeroizing::new([0]);
    let typed = loop {
        if terminal.read(byte.as_mut_slice())? == 0 {
            break Typed::Stop;
        }
        let [typed] = *byte;
        match typed {
            b'\r' | b'\n' if too_long => break Typed::TooLong,
            b'\r' | b'\n' if control => break Typed::Control,
            b'\r' | b'\n' => break Typed::Password(password),
            // Ctrl-C, Ctrl-D, Ctrl-\.
            0x03 | 0x04 | 0x1c => break Typed::Stop,
            // Backspace: all bytes of a character.
            0x08 | 0x7f => while password.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U.
            0x15 => {
                password.iter_mut().for_each(|byte| *byte = 0);
                password.clear();
                (control, too_long) = (false, false);
            }
            ..0x20 => control = true,
            byte if password.len() < LIMIT => password.push(byte),
            _ => too_long = true,
        }
    };
    terminal.write_all(b"\r\n")?;
    Ok(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that has keys to give.
    struct Keys<'k>(&'k [u8]);

    impl Read for Keys<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.0.read(to)
        }
    }

    impl Write for Keys<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn keys_become_a_password_or_none() {
        let typed = |keys: &[u8]| read(Keys(keys), "").expect("read");
        for (keys, password) in [
            (&b"secret\n"[..], &b"secret"[..]),
            (b"a\x7fb\r", b"b"),
            ("x\u{e9}\x7fy\n".as_bytes(), b"xy"),
            (b"\x7f\x08a\n", b"a"),
            (b"wrong\x15right\nrest", b"right"),
            (b"\xff \"'$\n", b"\xff \"'$"),
            (b"\n", b""),
        ] {
            let Typed::Password(found) = typed(keys) else { panic!("{keys:?}") };
            assert_eq!(*found, password);
        }
        assert!(matches!(typed(b"abc\x03"), Typed::Stop));
        assert!(matches!(typed(b"abc"), Typed::Stop));
        assert!(matches!(typed(b"a\x1b[Ab\n"), Typed::Control));
        assert!(matches!(typed(&[&[b'a'; 72][..], b"\n"].concat()), Typed::Password(_)));
        assert!(matches!(typed(&[&[b'a'; 73][..], b"\n"].concat()), Typed::TooLong));
    }
}
