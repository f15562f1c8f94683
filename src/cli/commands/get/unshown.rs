//! What was asked for and could not be shown.

use std::collections::BTreeMap;

use etcdsnap::kube::notes::Notes;
use etcdsnap::ops::reader::Unreadable;

/// Objects that are not shown as they are, by reason.
#[derive(Debug, Default)]
pub(crate) struct Unshown {
    unreadable: BTreeMap<String, u64>,
    /// Objects with fields that this version does not know.
    unknown_fields: u64,
    /// Where the first of these fields are.
    places: Vec<String>,
    /// Objects with other remarks, by remark.
    altered: u64,
}

/// Reasons that are told one by one.
const TOLD: usize = 12;

impl Unshown {
    /// An object that could not be read.
    pub(crate) fn unreadable(&mut self, why: &Unreadable) {
        let count = self.unreadable.entry(why.reason()).or_default();
        *count += 1;
    }

    /// An object that was read with `notes`.
    pub(crate) fn noted(&mut self, notes: &Notes) {
        if notes.is_empty() {
            return;
        }
        if notes.unknown_fields > 0 {
            self.unknown_fields += 1;
            if self.places.is_empty() {
                self.places.clone_from(&notes.unknown_places);
            }
        } else {
            self.altered += 1;
        }
    }

    /// Adds what another thread met.
    pub(crate) fn merge(&mut self, more: Self) {
        for (reason, count) in more.unreadable {
            *self.unreadable.entry(reason).or_default() += count;
        }
        self.unknown_fields += more.unknown_fields;
        self.altered += more.altered;
        if self.places.is_empty() {
            self.places = more.places;
        }
    }

    /// Whether everything was shown.
    pub(crate) fn is_empty(&self) -> bool {
        self.unreadable.is_empty() && self.unknown_fields == 0 && self.altered == 0
    }

    /// Whether any of it is encrypted.
    pub(crate) fn any_locked(&self) -> bool {
        self.unreadable.keys().any(|reason| reason.starts_with("encrypted"))
    }

    /// What to tell, a line for each reason.
    pub(crate) fn lines(&self) -> Vec<String> {
        let objects =
            |count: u64| if count == 1 { "1 object".to_owned() } else { format!("{count} objects") };
        let mut lines: Vec<String> = self
            .unreadable
            .iter()
            .take(TOLD)
            .map(|(reason, count)| format!("{} could not be shown: {reason}", objects(*count)))
            .collect();
        let rest: u64 = self.unreadable.values().skip(TOLD).sum();
        if rest > 0 {
            lines.push(format!("{} more could not be shown, for other reasons", objects(rest)));
        }
        if self.unknown_fields > 0 {
            let places = self.places.join(", ");
            lines.push(format!(
                "{} with fields that this version does not know, which are left out (such as {places})",
                objects(self.unknown_fields)
            ));
        }
        if self.altered > 0 {
            lines.push(format!(
                "{} with text that is not UTF-8 or fields that are there twice, shown as servers would",
                objects(self.altered)
            ));
        }
        lines
    }
}
