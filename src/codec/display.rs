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
