//! From words to arguments: what clap makes of them, and how it says that it cannot.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches};

use super::output::terminal;
use super::output::text::{harmless, is_dangerous, safe};
use super::{Cli, tell};

/// The option whose value may be left out, so that a word behind it may be taken for
/// the value.
const OPTIONAL_VALUE: &str = "--reset-root-password";

/// The arguments of this process. What is wrong with them, or the help that was asked
/// for, is printed, and the exit code is left.
pub(super) fn parse() -> Result<Cli, ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    arguments(&words).map_err(|error| {
        let code = u8::try_from(error.exit_code()).unwrap_or(2);
        // Whoever does not listen is no reason to fail otherwise.
        let _ = print(error, &words);
        ExitCode::from(code)
    })
}

fn arguments(words: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = lenient(Cli::command()).term_width(help_width());
    let mut matches = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// As wide as the terminal, where help is readable; to a pipe always the same.
fn help_width() -> usize {
    const NARROWEST: usize = 40;
    const WIDEST: usize = 100;
    terminal::width(&io::stdout()).map_or(WIDEST, |width| width.clamp(NARROWEST, WIDEST))
}

/// A switch that is given twice is given.
fn lenient(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let itself = argument.get_id().clone();
        match argument.get_action() {
            ArgAction::SetTrue => argument.overrides_with(itself),
            _ => argument,
        }
    });
    command.mut_subcommands(lenient)
}

/// As clap prints it. But clap repeats words as they were typed: if there is anything
/// in them that a terminal must not see, it goes without colours, and escaped.
fn print(error: clap::Error, words: &[OsString]) -> io::Result<()> {
    let is_plain = |word: &OsString| word.to_str().is_some_and(|word| !word.chars().any(is_dangerous));
    let (kind, is_error) = (error.kind(), error.use_stderr());
    if words.iter().all(is_plain) {
        error.print()?;
    } else {
        let text = escaped(error);
        if is_error {
            io::stderr().write_all(text.as_bytes())
        } else {
            io::stdout().write_all(text.as_bytes())
        }?;
    }
    if kind == ErrorKind::MissingRequiredArgument && took_a_word(words) {
        tell(format_args!(
            "\n  hint: the word behind {OPTIONAL_VALUE} is taken for a hash; {OPTIONAL_VALUE}=prompt asks for the password"
        ));
    }
    Ok(())
}

/// The error without anything that acts on a terminal.
fn escaped(mut error: clap::Error) -> String {
    let texts: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| {
            let safe = |text: &String| safe(text.as_bytes());
            match value {
                ContextValue::String(text) => Some((kind, ContextValue::String(safe(text)))),
                ContextValue::Strings(texts) => {
                    Some((kind, ContextValue::Strings(texts.iter().map(safe).collect())))
                }
                _ => None,
            }
        })
        .collect();
    for (kind, value) in texts {
        error.insert(kind, value);
    }
    harmless(&error.render().to_string()).into_owned()
}

/// Whether a word that is no hash stands where one may stand.
fn took_a_word(words: &[OsString]) -> bool {
    let is_word = |word: &OsString| {
        let word = word.to_string_lossy();
        !word.starts_with('-') && !word.starts_with("$2")
    };
    let mut behind = words.iter().skip_while(|word| *word != OPTIONAL_VALUE).skip(1);
    behind.next().is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(words: &[&str]) -> clap::Error {
        let words: Vec<OsString> =
            std::iter::once("etcdsnap").chain(words.iter().copied()).map(OsString::from).collect();
        arguments(&words).expect_err("no arguments of ours")
    }

    #[test]
    fn what_was_typed_does_nothing_to_the_terminal() {
        for words in [
            &["\u{202e}\u{1b}[31mverify"][..],
            &["verify", "--\u{1b}]0;title\u{7}"],
            &["verify", "a", "--threads", "\u{9b}2J\u{202e}"],
            &["tree", "a", "-o", "c\r\n\u{1b}[2J"],
            &["restore", "f", "--owner", "\u{1b}[8m\u{2066}:x"],
            &["restore", "f", "--start-flags", "\u{1b}[8menv"],
        ] {
            let text = escaped(error_of(words));
            let raw = text.chars().any(|character| character != '\n' && is_dangerous(character));
            assert!(!raw, "{text:?}");
            assert!(text.starts_with("error: "), "{text:?}");
        }
        // What was meant can still be seen.
        let text = escaped(error_of(&["\u{202e}verify"]));
        assert!(text.contains("\\u{202e}verify"), "{text}");
    }

    #[test]
    fn every_switch_can_be_given_twice() {
        let twice = |words: &[&str]| {
            let words: Vec<OsString> =
                std::iter::once("etcdsnap").chain(words.iter().copied()).map(OsString::from).collect();
            arguments(&words).map(|_| ()).map_err(|error| error.to_string())
        };
        fn switches(command: &clap::Command, found: &mut Vec<(Vec<String>, String)>, path: &[String]) {
            for argument in command.get_arguments() {
                if let (ArgAction::SetTrue, Some(long)) = (argument.get_action(), argument.get_long()) {
                    found.push((path.to_vec(), format!("--{long}")));
                }
            }
            for inner in command.get_subcommands() {
                let path = [path, &[inner.get_name().to_owned()]].concat();
                switches(inner, found, &path);
            }
        }
        let mut found = Vec::new();
        let mut command = Cli::command();
        command.build();
        switches(&command, &mut found, &[]);
        assert!(found.len() > 100, "{}", found.len());
        for (path, switch) in found {
            let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
            words.extend([switch.as_str(), switch.as_str()]);
            if let Err(error) = twice(&words) {
                assert!(!error.contains("multiple times"), "{words:?}: {error}");
            }
        }
        twice(&["restore", "f", "--force", "--force", "-q", "-q"]).expect("given is given");
    }

    #[test]
    fn a_word_that_an_option_took_is_noticed() {
        let took = |words: &[&str]| took_a_word(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(took(&["restore", "--reset-root-password", "snap.db"]));
        assert!(!took(&["restore", "snap.db", "--reset-root-password", "--all-members"]));
        assert!(!took(&["restore", "snap.db", "--reset-root-password", "$2a$10$x"]));
        assert!(!took(&["restore", "--reset-root-password"]));
    }
}
