//! Command lines for the other nodes.

use etcdsnap::ops::restore::Restored;

use super::flags::BumpArgument;
use super::{Restore, shown};
use crate::cli::output::text::safe;

impl Restore {
    /// The command that restores another member of the same cluster. Whatever
    /// goes into the database or the ids must be the same for all, and that it is
    /// comes last.
    pub(super) fn command_for(&self, restored: &Restored, name: &str, urls: &str) -> String {
        let mut words = vec!["etcdsnap".to_owned(), "restore".to_owned(), shown(&self.file)];
        words.extend(self.members.words(name, urls));
        let mut flag = |flag: &str, value: &str| words.extend([flag.to_owned(), quoted(value)]);
        if !self.learners.is_empty() {
            flag("--learners", &self.learners.join(","));
        }
        if let Some(line) = self.target_version {
            flag("--target-version", &line.to_string());
        }
        match self.bump_revision.filter(|bump| bump.bump().is_some()) {
            Some(BumpArgument::Auto) => flag("--bump-revision", "auto"),
            Some(BumpArgument::By(by)) => flag("--bump-revision", &by.to_string()),
            None => {}
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
        words.extend(["--expect-state".to_owned(), restored.state.to_string()]);
        words.extend(["--data-dir".to_owned(), "DIR".to_owned()]);
        words.join(" ")
    }
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+:,./@%[]".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", safe(word.as_bytes()).replace('\'', "'\\''"))
    }
}
