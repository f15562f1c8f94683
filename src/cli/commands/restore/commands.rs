//! Command lines for the other nodes.

use etcdsnap::ops::restore::Restored;

use super::Restore;
use super::flags::BumpArgument;
use crate::cli::output::text::{is_dangerous, shown};

impl Restore {
    /// The command that restores another member of the same cluster. Whatever
    /// goes into the database or the ids must be the same for all, and that it is
    /// comes last.
    pub(super) fn command_for(&self, restored: &Restored, name: &str, urls: &str) -> String {
        let mut words = vec!["etcdsnap".to_owned(), "restore".to_owned(), shown(&self.file)];
        words.extend(self.members.words(name, urls));
        let mut flag = |flag: &str, value: &str| words.extend([flag.to_owned(), quoted(value.as_bytes())]);
        if !self.learners.is_empty() {
            flag("--learners", &self.learners.join(","));
        }
        if let Some(line) = self.target_version {
            flag("--target-version", &line.to_string());
        }
        match self.bump() {
            Some(BumpArgument::Auto) => flag("--bump-revision", "auto"),
            // Of none it must be said only where there would be one.
            Some(BumpArgument::By(0)) if !self.cleansing.is_selective() => {}
            Some(BumpArgument::By(by)) => flag("--bump-revision", &by.to_string()),
            None => {}
        }
        for prefix in self.kubernetes.given() {
            flag("--etcd-prefix", prefix);
        }
        let switches = [
            ("--mark-compacted", self.mark_compacted),
            ("--downgrade", self.downgrade),
            ("--clear-alarms", self.clear_alarms),
            ("--clear-downgrade", self.clear_downgrade),
            ("--rewrite-conf-state", self.rewrite_conf_state),
            ("--skip-hash-check", self.skip_hash_check),
        ];
        let given = switches.into_iter().filter(|(_, given)| *given);
        words.extend(given.map(|(switch, _)| switch.to_owned()));
        for (flag, value) in self.cleansing.words() {
            words.push(flag.to_owned());
            words.extend(value.map(|value| quoted(&value)));
        }
        words.extend(["--expect-state".to_owned(), restored.state.to_string()]);
        words.extend(["--data-dir".to_owned(), "DIR".to_owned()]);
        words.join(" ")
    }
}

/// A word as a shell takes it: as it is, between single quotes, or, if there is
/// anything in it that a terminal must not see, in escapes that bash and zsh know.
pub(super) fn quoted(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_=+:,./@%[]".contains(byte);
    let text = std::str::from_utf8(word).ok().filter(|text| !text.chars().any(is_dangerous));
    match text {
        // Stands for what is not to be shown.
        Some("$HASH") => "\"$HASH\"".to_owned(),
        Some(text) if !text.is_empty() && word.iter().all(plain) => text.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "'\\''")),
        None => {
            let escape = |byte: &u8| match byte {
                b'\'' | b'\\' | ..=0x1f | 0x7f.. => format!("\\x{byte:02x}"),
                byte => char::from(*byte).to_string(),
            };
            format!("$'{}'", word.iter().map(escape).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_of_a_shell_as_they_were() {
        for word in
            [&b"a b"[..], b"it's", b"\\x", b"", b"\xff'\x1b[1m\\", "\u{202e}ab".as_bytes(), b"*", b"/r/"]
        {
            let script = format!("printf %s {}", quoted(word));
            assert!(!script.chars().any(is_dangerous));
            let answer = std::process::Command::new("bash").args(["-c", &script]).output().expect("a shell");
            assert_eq!(answer.stdout, word, "{script}");
        }
        assert_eq!(quoted(b"$HASH"), "\"$HASH\"");
    }
}
