//! What was asked for and could not be shown.

use std::collections::BTreeMap;

use etcdsnap::kube::notes::Notes;
use etcdsnap::ops::reader::Unreadable;

use crate::cli::output::text::safe;
use crate::cli::{Context, Outcome};

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
        self.unreadable_for(why.reason());
    }

    /// An object that could not be read, for that reason.
    pub(crate) fn unreadable_for(&mut self, reason: String) {
        *self.unreadable.entry(reason).or_default() += 1;
    }

    /// Says that these are definitions of custom resources, and what that means.
    pub(crate) fn tell_of_definitions(&self, context: &Context<'_>) -> Outcome {
        if self.unreadable.is_empty() {
            return Outcome::Yes;
        }
        for (reason, count) in &self.unreadable {
            let reason = safe(reason.as_bytes());
            context.say(format_args!("warning: definitions of custom resources that cannot be read: {count} ({reason}); names and columns of their types are not known"));
        }
        Outcome::No
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
