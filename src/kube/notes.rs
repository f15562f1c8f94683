//! What was found in an object that its tree does not show.

/// How many of the places of unknown fields are remembered.
const PLACES: usize = 4;

/// How many of the unknown fields are asked for their place: writing it down may
/// take longer than reading the field did.
const ASKED: u64 = 16;

/// Remarks on one decoded object. An object without any came out whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Fields of numbers that the type is not known to have: written by a newer
    /// release. They are not in the tree.
    pub unknown_fields: u64,
    /// Where the first of these are: `spec.template#17`.
    pub unknown_places: Vec<String>,
    /// Texts that are not UTF-8. Each wrong byte is shown as U+FFFD.
    pub invalid_text: u64,
    /// Fields that are there several times although there can be only one.
    pub repeated_fields: u64,
    /// Embedded objects that are neither JSON nor CBOR. They are shown in base64.
    pub opaque_parts: u64,
}

impl Notes {
    /// Whether the tree is all there is, as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts an unknown field; `place` is asked only for the first ones.
    pub(super) fn unknown_field(&mut self, place: impl FnOnce() -> String) {
        self.unknown_fields = self.unknown_fields.saturating_add(1);
        if self.unknown_fields <= ASKED && self.unknown_places.len() < PLACES {
            let place = place();
            if !self.unknown_places.contains(&place) {
                self.unknown_places.push(place);
            }
        }
    }
}

impl std::fmt::Display for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        let mut part = |count: u64, one: &str, many: &str| {
            if count == 0 {
                return Ok(());
            }
            write!(f, "{separator}{count} {}", if count == 1 { one } else { many })?;
            separator = ", ";
            Ok(())
        };
        part(self.unknown_fields, "unknown field", "unknown fields")?;
        part(self.invalid_text, "text that is not UTF-8", "texts that are not UTF-8")?;
        part(self.repeated_fields, "field there twice", "fields there twice")?;
        part(
            self.opaque_parts,
            "embedded object that cannot be read",
            "embedded objects that cannot be read",
        )?;
        if !self.unknown_places.is_empty() {
            let more = self.unknown_fields > self.unknown_places.len() as u64;
            write!(f, " ({}{})", self.unknown_places.join(", "), if more { ", …" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_counted_and_the_first_are_named() {
        let mut notes = Notes::default();
        assert!(notes.is_empty());
        notes.unknown_field(|| "spec#9".into());
        assert_eq!(notes.to_string(), "1 unknown field (spec#9)");
        for number in 0..10 {
            notes.unknown_field(|| format!("spec#{}", 9 + number / 2));
        }
        notes.invalid_text = 2;
        assert_eq!(
            notes.to_string(),
            "11 unknown fields, 2 texts that are not UTF-8 (spec#9, spec#10, spec#11, spec#12, …)"
        );
    }
}
