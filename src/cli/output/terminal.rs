//! How wide the terminal is, and sentences that fit it.
//!
//! Only what goes to a terminal is wrapped: what is piped or kept stays one line to a
//! sentence, whoever looks at it later. Tables are never wrapped.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// Columns of the terminal that `stream` is; `None` if it is none.
pub(crate) fn width(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    const USUAL: usize = 80;
    if !stream.is_terminal() {
        return None;
    }
    let told = rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    // Serial lines and some containers do not tell.
    let of_shell = || std::env::var("COLUMNS").ok()?.parse().ok();
    let some = |columns: &usize| *columns > 0;
    Some(told.filter(some).or_else(|| of_shell().filter(some)).unwrap_or(USUAL))
}

/// `text` with its lines broken between words where they are longer than `width`. What
/// goes on stands a little further in than its line began. A word that is longer than the
/// line stays whole, and so does what stands between backticks: it may be copied.
pub(crate) fn wrapped(text: &str, width: Option<usize>) -> Cow<'_, str> {
    /// Narrower, there would be a word to a line.
    const LEAST: usize = 40;
    let Some(width) = width.map(|width| width.max(LEAST)) else { return Cow::Borrowed(text) };
    if text.lines().all(|line| columns(line) <= width) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive('\n') {
        wrap(line, width, &mut out);
    }
    Cow::Owned(out)
}

fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

fn wrap(line: &str, width: usize, out: &mut String) {
    if columns(line.trim_end_matches('\n')) <= width {
        return out.push_str(line);
    }
    let blanks = line.len() - line.trim_start_matches(' ').len();
    let (lead, mut rest) = line.split_at(blanks);
    // Of a row of a table, below its last column.
    let inside = line.trim_end().rfind("  ").map_or(0, |at| columns(line.get(..at + 2).unwrap_or_default()));
    let further = inside.max(blanks + 2);
    let further = if further > width / 2 { (blanks + 2).min(width / 2) } else { further };
    out.push_str(lead);
    let mut column = blanks;
    let mut first = true;
    while !rest.is_empty() {
        let (blanks, word, behind) = next_word(rest);
        rest = behind;
        let length = columns(word.trim_end_matches('\n'));
        if !first && column + blanks + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', further));
            column = further;
        } else {
            out.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
        }
        out.push_str(word);
        column += length;
        first = false;
    }
}

/// The blanks that come next, the word behind them, and the rest.
fn next_word(text: &str) -> (usize, &str, &str) {
    let word = text.trim_start_matches(' ');
    let mut quoted = false;
    let end = word.char_indices().find_map(|(at, character)| {
        // A backtick without a second one quotes nothing.
        let behind = || word.get(at + 1..).is_some_and(|behind| behind.contains('`'));
        quoted = match character {
            '`' => !quoted && behind(),
            _ => quoted,
        };
        (character == ' ' && !quoted).then_some(at)
    });
    let (word, rest) = word.split_at_checked(end.unwrap_or(word.len())).unwrap_or((word, ""));
    (text.len() - word.len() - rest.len(), word, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_between_words_and_go_on_further_in() {
        let text = "  What to do: use another copy of this file, or another backup of it.\nshort\n\n";
        let expected =
            "  What to do: use another copy of this\n    file, or another backup of it.\nshort\n\n";
        assert_eq!(wrapped(text, Some(40)), expected);
        assert_eq!(wrapped(text, Some(10)), expected, "never narrower");
        assert_eq!(wrapped(text, None), text);
        assert_eq!(wrapped(text, Some(80)), text);
    }

    #[test]
    fn the_last_cell_of_a_row_goes_on_below_itself() {
        let row = "  ok     tree    83 pages, 10 buckets, 305 elements";
        let expected = "  ok     tree    83 pages, 10 buckets,\n                 305 elements";
        assert_eq!(wrapped(row, Some(40)), expected);
    }

    #[test]
    fn what_may_be_copied_stays_in_one_piece() {
        let text = "to get what is left of it try `etcdsnap salvage FILE OUT.db --and more`, then look";
        let expected =
            "to get what is left of it try\n  `etcdsnap salvage FILE OUT.db --and more`,\n  then look";
        assert_eq!(wrapped(text, Some(40)), expected);
        let long = format!("key {} is long", "/registry/".repeat(9));
        assert_eq!(wrapped(&long, Some(40)), format!("key\n  {}\n  is long", "/registry/".repeat(9)));
        // One that is not closed is a character as any other.
        let text = "a name with a ` in it does not keep the rest together";
        assert_eq!(wrapped(text, Some(40)), "a name with a ` in it does not keep the\n  rest together");
    }

    #[test]
    fn nothing_is_lost_or_added_but_breaks() {
        for text in
            ["", "\n", " ", "a  b", "`", "``", "` `` `", &"ab\u{e9} `c d` ".repeat(40), &"x".repeat(200)]
        {
            for width in [40, 41, 57] {
                let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert_eq!(plain(&wrapped(text, Some(width))), plain(text));
            }
        }
    }
}
