//! Columns as kubectl prints them: no lines, three blanks between and six
//! characters at least, the last one ragged. Widths are found from the rows at hand and only grow, so that rows
//! can be printed while later ones are still being found.

use std::io::{self, Write};

/// Rows that wait to be printed: their text in one piece, and where each cell
/// ends. Made by any thread, printed by one.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    text: String,
    /// For each cell: the end of its text, and how wide it is.
    cells: Vec<(usize, usize)>,
}

impl Rows {
    /// Adds the next cell.
    pub(crate) fn cell(&mut self, text: &str) {
        self.text.push_str(text);
        let width = if text.is_ascii() { text.len() } else { text.chars().count() };
        self.cells.push((self.text.len(), width));
    }

    /// Whether there are no cells.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn append(&mut self, more: &Self) {
        let start = self.text.len();
        self.text.push_str(&more.text);
        self.cells.extend(more.cells.iter().map(|(end, width)| (start + end, *width)));
    }
}

/// A table that is printed as it grows.
pub(crate) struct Columns<'o> {
    out: &'o mut (dyn Write + Send),
    widths: Vec<usize>,
    titles: Option<Rows>,
    /// Rows that wait for others to be aligned with.
    waiting: Rows,
    blank_line: bool,
}

const BLANKS: &[u8; 64] = &[b' '; 64];

/// Blanks between two columns.
const GAP: usize = 3;

/// The least width of a column, gap included.
const LEAST: usize = 6;

/// How many rows are aligned with each other at least: as many as kubectl asks
/// the API server for at once.
const CHUNK: usize = 500;

impl<'o> Columns<'o> {
    /// With titles, which are the first row.
    pub(crate) fn new(out: &'o mut (dyn Write + Send), titles: &[&str]) -> Self {
        let mut rows = Rows::default();
        titles.iter().for_each(|title| rows.cell(title));
        Self {
            out,
            widths: vec![LEAST - GAP; titles.len()],
            titles: Some(rows),
            waiting: Rows::default(),
            blank_line: false,
        }
    }

    /// Without the row of titles.
    pub(crate) fn without_titles(mut self) -> Self {
        self.titles = None;
        self
    }

    /// With a blank line before the first row, if there is one.
    pub(crate) fn after_a_blank_line(mut self) -> Self {
        self.blank_line = true;
        self
    }

    /// Takes whole rows, and prints all that are there as soon as there are
    /// enough of them.
    pub(crate) fn add(&mut self, rows: &Rows) -> io::Result<()> {
        self.waiting.append(rows);
        if self.waiting.cells.len() < CHUNK * self.widths.len() {
            return Ok(());
        }
        self.finish()
    }

    /// Prints what still waits.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.cells.is_empty() { Ok(()) } else { self.print(&rows) }
    }

    /// Prints whole rows, aligned among each other and with all before them.
    pub(crate) fn print(&mut self, rows: &Rows) -> io::Result<()> {
        if std::mem::take(&mut self.blank_line) {
            self.out.write_all(b"\n")?;
        }
        let titles = self.titles.take();
        let columns = self.widths.len();
        for rows in titles.iter().chain([rows]) {
            for row in rows.cells.chunks(columns) {
                for (width, (_, cell)) in self.widths.iter_mut().zip(row) {
                    *width = (*width).max(*cell);
                }
            }
        }
        for rows in titles.iter().chain([rows]) {
            let mut start = 0;
            for row in rows.cells.chunks(columns) {
                for (index, ((end, width), column)) in row.iter().zip(&self.widths).enumerate() {
                    self.out.write_all(rows.text.as_bytes().get(start..*end).unwrap_or_default())?;
                    start = *end;
                    if index + 1 < columns {
                        let mut blanks = column + GAP - width;
                        while blanks > 0 {
                            let piece = blanks.min(BLANKS.len());
                            self.out.write_all(BLANKS.get(..piece).unwrap_or_default())?;
                            blanks -= piece;
                        }
                    }
                }
                self.out.write_all(b"\n")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_only_grow() {
        let mut out = Vec::new();
        let mut table = Columns::new(&mut out, &["A", "B"]);
        for row in [["long", "x"], ["s", "\u{e9}"], ["longer", "y"], ["s", "z"]] {
            let mut rows = Rows::default();
            row.iter().for_each(|cell| rows.cell(cell));
            table.print(&rows).expect("written");
        }
        let expected = "A      B\nlong   x\ns      \u{e9}\nlonger   y\ns        z\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
