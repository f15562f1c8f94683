//! Texts: which style each gets, and how it is written in it.
//!
//! Source: `go.yaml.in/yaml/v2` `encode.go` (`stringv`) and `emitterc.go` from
//! `yaml_emitter_analyze_scalar` on, 2.4.3.

use super::resolve;
use crate::codec::display::acts_on_display;

/// A blank behind this column ends the line, if a word follows.
const WIDTH: usize = 80;

const BLANK: u8 = 1;
/// Colon or number sign, which with a blank beside it end plain text.
const MARK: u8 = 2;
const NEWLINE: u8 = 4;
/// Other control characters.
const CONTROL: u8 = 8;
/// Not ASCII.
const HIGH: u8 = 16;
/// Quote or backslash.
const ESCAPED: u8 = 32;

/// What there is to say of each byte.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut rest: &mut [u8] = &mut classes;
    let mut byte = 0_u8;
    while let Some((place, more)) = rest.split_first_mut() {
        *place = match byte {
            b' ' => BLANK,
            b':' | b'#' => MARK,
            b'\n' => NEWLINE,
            ..0x20 | 0x7f => CONTROL,
            0x80.. => HIGH,
            b'"' | b'\\' => ESCAPED,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        rest = more;
    }
    classes
};

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or_default()
}

fn classes(text: &str) -> u8 {
    text.bytes().fold(0, |classes, byte| classes | class(byte))
}

/// Characters that may stand in YAML as they are. Upstream lets those pass that turn the
/// direction of writing or have no width; escaped, they mean the same.
fn is_printable(char: char) -> bool {
    matches!(char, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && (is_break(char) || !acts_on_display(char))
}

/// What YAML 1.1 takes for the end of a line.
fn is_break(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{85}' | LINE_SEPARATOR | PARAGRAPH_SEPARATOR)
}

const LINE_SEPARATOR: char = '\u{2028}';
const PARAGRAPH_SEPARATOR: char = '\u{2029}';

/// Whether a text has more than one line, so that it cannot stand before a colon.
pub(super) fn has_breaks(text: &str) -> bool {
    classes(text) & (NEWLINE | CONTROL | HIGH) != 0 && text.contains(is_break)
}

/// What stands in the way of styles.
#[derive(Default)]
struct Shape {
    /// There are characters that must be escaped.
    special: bool,
    breaks: bool,
    space_before_break: bool,
    space_after_break: bool,
}

impl Shape {
    fn of(text: &str, classes: u8) -> Self {
        if classes & HIGH == 0 {
            return Self {
                special: classes & CONTROL != 0,
                breaks: classes & NEWLINE != 0,
                space_before_break: text.contains(" \n"),
                // Asked for only where there are no newlines.
                space_after_break: false,
            };
        }
        let mut shape = Self::default();
        let (mut after_space, mut after_break) = (false, false);
        for char in text.chars() {
            let (space, breaks) = (char == ' ', is_break(char));
            shape.special |= !is_printable(char);
            shape.breaks |= breaks;
            shape.space_before_break |= breaks && after_space;
            shape.space_after_break |= space && after_break;
            (after_space, after_break) = (space, breaks);
        }
        shape
    }
}

/// Whether one line of text needs quotes because of what it begins with, ends
/// with, or has in it.
fn has_indicators(text: &str, classes: u8) -> bool {
    let bytes = text.as_bytes();
    let first = matches!(
        bytes,
        [b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>', ..]
            | [b'\'' | b'"' | b'%' | b'@' | b'`', ..]
            | [b'-' | b'?' | b':']
            | [b'-' | b'?' | b':', b' ', ..]
            | [b'-', b'-', b'-', ..]
            | [b'.', b'.', b'.', ..]
    );
    first
        || classes & BLANK != 0 && (text.starts_with(' ') || text.ends_with(' '))
        || classes & MARK != 0 && text.ends_with(':')
        || classes & (BLANK | MARK) == BLANK | MARK
            && bytes.windows(2).any(|pair| matches!(pair, b": " | b" #"))
}

/// Appends a text in the style that upstream chooses for it. Lines that it has or
/// is folded into begin with `indent` blanks; it is folded only if `folds`.
///
/// Whether its last line is ended already.
pub(super) fn push(text: &str, indent: usize, folds: bool, out: &mut Vec<u8>) -> bool {
    let classes = classes(text);
    let shape = match classes & (NEWLINE | CONTROL | HIGH) {
        0 => Shape::default(),
        _ => Shape::of(text, classes),
    };
    // Where nothing can be folded the column is of no interest.
    let folds = folds && classes & BLANK != 0;
    if classes & NEWLINE != 0 {
        if !(shape.special || shape.space_before_break || text.ends_with(' ')) {
            return push_literal(text, classes, indent, out);
        }
        push_double(text, Line::new(out, indent, folds));
    } else if resolve::is_other(text) || shape.special {
        push_double(text, Line::new(out, indent, folds));
    } else if !shape.breaks && !has_indicators(text, classes) {
        push_words(text, Line::new(out, indent, folds));
    } else if shape.space_before_break || shape.space_after_break {
        push_double(text, Line::new(out, indent, folds));
    } else if shape.breaks {
        push_single_with_breaks(text, Line::new(out, indent, folds));
    } else {
        out.push(b'\'');
        // Quotes in it are doubled.
        match text.contains('\'') {
            true => push_words(&text.replace('\'', "''"), Line::new(out, indent, folds)),
            false => push_words(text, Line::new(out, indent, folds)),
        }
        out.push(b'\'');
    }
    false
}

/// Where the output has got to.
struct Line<'o> {
    out: &'o mut Vec<u8>,
    /// Characters in this line so far.
    column: usize,
    indent: usize,
    folds: bool,
}

impl<'o> Line<'o> {
    fn new(out: &'o mut Vec<u8>, indent: usize, folds: bool) -> Self {
        let column = if folds { column(out) } else { 0 };
        Self { out, column, indent, folds }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        if self.folds {
            self.column = self.column.saturating_add(characters(bytes));
        }
    }

    fn push_char(&mut self, char: char) {
        self.push(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn newline(&mut self) {
        self.out.push(b'\n');
        self.column = 0;
        self.indent();
    }

    fn indent(&mut self) {
        push_blanks(self.indent.saturating_sub(self.column), self.out);
        self.column = self.column.max(self.indent);
    }

    /// Whether a blank that is next may become the end of the line.
    fn is_full(&self) -> bool {
        self.folds && self.column > WIDTH
    }
}

pub(super) fn push_blanks(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len().saturating_add(count), b' ');
}

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| !is_continuation(**byte)).count()
}

/// Whether a byte goes on with a character of UTF-8.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Characters in the last line.
fn column(out: &[u8]) -> usize {
    let line = out.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let breaks = |three: &[u8]| matches!(three, [0xe2, 0x80, 0xa8 | 0xa9]);
    match line.windows(3).rposition(breaks).and_then(|at| line.get(at..)) {
        Some([_, _, _, line @ ..]) => characters(line),
        _ => characters(line),
    }
}

/// One line of text as it is, folded at blanks.
fn push_words(text: &str, mut line: Line<'_>) {
    let mut rest = text.as_bytes();
    while line.folds {
        // Characters have at least one byte, so no blank before this can be behind the edge.
        let mut at = WIDTH.saturating_sub(line.column);
        let fold = loop {
            let Some(tail) = rest.get(at..) else { break None };
            let Some(blanks) = tail.iter().position(|byte| *byte == b' ') else { break None };
            at = at.saturating_add(blanks);
            let Some((word, [_, after @ ..])) = rest.split_at_checked(at) else { break None };
            // A blank alone, with text on both sides.
            let mut next = 1;
            if !matches!(word, [] | [.., b' ']) && !matches!(after, [] | [b' ', ..]) {
                match WIDTH.checked_sub(line.column.saturating_add(characters(word))) {
                    None => break Some((word, after)),
                    Some(room) => next = room.saturating_add(1),
                }
            }
            at = at.saturating_add(next);
        };
        let Some((word, after)) = fold else { break };
        line.out.extend_from_slice(word);
        line.newline();
        rest = after;
    }
    line.out.extend_from_slice(rest);
}

/// Single quotes around a text that has line or paragraph separators.
fn push_single_with_breaks(text: &str, mut line: Line<'_>) {
    line.push(b"'");
    let mut chars = text.char_indices().peekable();
    let (mut after_blank, mut after_break) = (false, false);
    while let Some((at, char)) = chars.next() {
        if char == ' ' {
            let next = chars.peek().map(|(_, next)| *next);
            if line.is_full() && !after_blank && at > 0 && !matches!(next, None | Some(' ')) {
                line.newline();
            } else {
                line.push(b" ");
            }
        } else if is_break(char) {
            line.push_char(char);
            line.column = 0;
        } else {
            if after_break {
                line.indent();
            }
            if char == '\'' {
                line.push(b"'");
            }
            line.push_char(char);
        }
        (after_blank, after_break) = (char == ' ', is_break(char));
    }
    line.push(b"'");
}

/// Double quotes, with escapes.
fn push_double(text: &str, mut line: Line<'_>) {
    line.push(b"\"");
    // Upstream looks for the mark at the start of the text, whichever character it is at.
    let all = text.starts_with('\u{feff}');
    let mut rest = text;
    let mut after_blank = false;
    let stops = |byte: u8| all || class(byte) & !MARK != 0;
    while let Some(at) = rest.bytes().position(stops) {
        let Some((run, stop)) = rest.split_at_checked(at) else { break };
        line.push(run.as_bytes());
        after_blank &= run.is_empty();
        let mut chars = stop.chars();
        let Some(char) = chars.next() else { break };
        let first = rest.len() == text.len() && run.is_empty();
        rest = chars.as_str();
        if char == ' ' && !all {
            if line.is_full() && !after_blank && !first && !rest.is_empty() {
                line.newline();
                if rest.starts_with(' ') {
                    line.push(b"\\");
                }
            } else {
                line.push(b" ");
            }
            after_blank = true;
        } else {
            if all || !is_printable(char) || is_break(char) || matches!(char, '"' | '\\') {
                push_escape(char, &mut line);
            } else {
                line.push_char(char);
            }
            after_blank = false;
        }
    }
    line.push(rest.as_bytes());
    line.push(b"\"");
}

fn push_escape(char: char, line: &mut Line<'_>) {
    let short = match char {
        '\0' => b'0',
        '\x07' => b'a',
        '\x08' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\x0b' => b'v',
        '\x0c' => b'f',
        '\r' => b'r',
        '\x1b' => b'e',
        '"' => b'"',
        '\\' => b'\\',
        '\u{85}' => b'N',
        '\u{a0}' => b'_',
        LINE_SEPARATOR => b'L',
        PARAGRAPH_SEPARATOR => b'P',
        _ => {
            let code = u32::from(char);
            let (letter, places) = match code {
                ..=0xff => (b'x', 2),
                0x100..=0xffff => (b'u', 4),
                _ => (b'U', 8),
            };
            line.push(&[b'\\', letter]);
            for place in (0..places).rev() {
                let digit = code.wrapping_shr(u32::wrapping_mul(place, 4)) & 15;
                line.push_char(char::from_digit(digit, 16).unwrap_or_default().to_ascii_uppercase());
            }
            return;
        }
    };
    line.push(&[b'\\', short]);
}

/// A block in which each line stands as it is. Whether it ends its last line.
fn push_literal(text: &str, classes: u8, indent: usize, out: &mut Vec<u8>) -> bool {
    out.push(b'|');
    if text.starts_with(|c| c == ' ' || is_break(c)) {
        // How far the lines are indented cannot be seen from the first.
        out.push(b'2');
    }
    let mut last = text.chars().rev();
    let ended = last.next().is_some_and(is_break);
    if !ended {
        out.push(b'-');
    } else if last.next().is_none_or(is_break) {
        out.push(b'+');
    }
    out.push(b'\n');
    if classes & HIGH == 0 {
        for line in text.split_inclusive('\n') {
            if line != "\n" {
                push_blanks(indent, out);
            }
            out.extend_from_slice(line.as_bytes());
        }
    } else {
        for line in text.split_inclusive(is_break) {
            if !line.starts_with(is_break) {
                push_blanks(indent, out);
            }
            out.extend_from_slice(line.as_bytes());
        }
    }
    ended
}
