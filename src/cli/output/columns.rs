//! Columns as kubectl prints them: no lines, three blanks between, the last one
//! ragged. Widths are found from the rows at hand and only grow, so that rows
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
}

/// A table that is printed as it grows.
pub(crate) struct Columns<'o> {
    out: &'o mut (dyn Write + Send),
    widths: Vec<usize>,
    titles: Option<Rows>,
}

const BLANKS: &[u8; 64] = &[b' '; 64];

impl<'o> Columns<'o> {
    /// With titles, which are the first row.
    pub(crate) fn new(out: &'o mut (dyn Write + Send), titles: &[&str]) -> Self {
        let mut rows = Rows::default();
        titles.iter().for_each(|title| rows.cell(title));
        Self { out, widths: vec![0; titles.len()], titles: Some(rows) }
    }

    /// Prints whole rows, aligned among each other and with all before them.
    pub(crate) fn print(&mut self, rows: &Rows) -> io::Result<()> {
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
                        let mut blanks = column + 3 - width;
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
