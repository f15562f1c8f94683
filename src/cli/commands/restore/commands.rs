//! Command lines for the other nodes.

use etcdsnap::ops::restore::Restored;

use super::Restore;
use super::flags::BumpArgument;
use crate::cli::output::shell::{option, quoted_path};
use crate::cli::selection::Value;

impl Restore {
    /// The command that restores another member of the same cluster. Whatever
    /// goes into the database or the ids must be the same for all, and that it is
    /// comes last.
    pub(super) fn command_for(&self, restored: &Restored, name: &str, urls: &str) -> String {
        let mut words = vec!["etcdsnap".to_owned(), "restore".to_owned(), quoted_path(&self.file)];
        words.extend(self.members.words(name, urls));
        let mut flag = |flag: &str, value: &str| words.push(option(flag, value.as_bytes()));
        if !self.learners.is_empty() {
            flag("--learners", &self.learners.join(","));
        }
        if let Some(line) = self.target_version {
            flag("--target-version", &line.to_string());
        }
        match self.bump_revision {
            Some(BumpArgument::Auto) => flag("--bump-revision", "auto"),
            // Of none it must be said only where there could be one.
            Some(BumpArgument::By(0)) if !self.may_imply_a_bump() => {}
            Some(BumpArgument::By(by)) => flag("--bump-revision", &by.to_string()),
            None if restored.summary.is_bumped => flag("--bump-revision", "auto"),
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
            words.push(match value {
                None => flag.to_owned(),
                Some(Value::Bytes(bytes)) => option(flag, &bytes),
                Some(Value::Hash) => format!("{flag} \"$HASH\""),
            });
        }
        if let Some(keys) = self.decryption.path() {
            words.extend(["--encryption-config".to_owned(), quoted_path(keys)]);
        }
        let mut flag = |flag: &str, value: &str| words.push(option(flag, value.as_bytes()));
        if let Some(owner) = &self.owner {
            flag("--owner", owner.as_str());
        }
        if let Some(mode) = self.mode {
            flag("--mode", &format!("{mode:o}"));
        }
        if let Some(form) = self.start_flags {
            flag("--start-flags", form.name());
        }
        flag("--expect-state", &restored.state.to_string());
        // Directories are each node's own.
        if self.wal_dir.is_some() {
            flag("--wal-dir", "WAL-DIR");
        }
        words.extend(["--data-dir".to_owned(), "DIR".to_owned()]);
        words.join(" ")
    }
}
