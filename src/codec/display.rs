//! What a character does where it is displayed.

/// Whether a character changes more than the cell it is shown in: controls, line and
/// paragraph separators, marks that turn the direction of writing or have no width, and
/// those for annotations. What shows bytes of unknown origin writes them as escapes.
pub fn acts_on_display(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}')
}

/// Whether a character acts on the display, or cannot be seen on it: two names that differ
/// by such a character look the same. Soft hyphens, joiners, fillers, variation selectors,
/// tags: all that Unicode calls *default ignorable*.
///
/// Where an output is to equal that of another program, [`acts_on_display`] alone counts:
/// the selector behind an emoji is as common as harmless.
///
/// Source: `Default_Ignorable_Code_Point` in `DerivedCoreProperties.txt` @ Unicode 16.0.
pub fn misleads(character: char) -> bool {
    acts_on_display(character)
        || matches!(character,
            '\u{00ad}' | '\u{034f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_misleads_and_what_can_does_not() {
        for unseen in [
            0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x180b, 0x180e, 0x180f, 0x200b, 0x200d, 0x200f,
            0x2028, 0x2029, 0x202e, 0x2060, 0x2064, 0x206f, 0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xfff9,
            0x1bca0, 0x1d173, 0xe0001, 0xe0020, 0xe007f, 0xe0100, 0xe01ef, 0x7, 0x85, 0x9b,
        ] {
            assert!(misleads(char::from_u32(unseen).expect("a character")), "{unseen:x}");
        }
        for seen in
            "a\u{e9}\u{a0}\u{ac}\u{ae}\u{1f600}\u{2764}\u{3042}\u{ac00}\u{1100}\u{115e}\u{1161}".chars()
        {
            assert!(!misleads(seen), "{seen:?}");
        }
        // Output that is to equal kubectl's keeps the selector of an emoji.
        assert!(!acts_on_display('\u{fe0f}') && !acts_on_display('\u{ad}'));
    }
}
