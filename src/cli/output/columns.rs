//! Columns as kubectl prints them: no lines, three blanks between, the last one
//! ragged. Widths are found from the first rows and only grow, so that rows can
//! be printed while later ones are still being found.

use std::io::{self, Write};

/// How many rows the first widths are found from.
const CHUNK: usize = 500;

/// A table that is printed as it grows.
pub(crate) struct Columns<'o> {
    out: &'o mut dyn Write,
    widths: Vec<usize>,
    waiting: Vec<Vec<String>>,
}

impl<'o> Columns<'o> {
    /// With titles, which are the first row.
    pub(crate) fn new(out: &'o mut dyn Write, titles: &[&str]) -> Self {
        let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
        Self { out, widths: vec![0; titles.len()], waiting: vec![titles] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) -> io::Result<()> {
        self.waiting.push(cells);
        if self.waiting.len() >= CHUNK { self.print() } else { Ok(()) }
    }

    /// Prints what is left.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.print()
    }

    fn print(&mut self) -> io::Result<()> {
        for row in &self.waiting {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in self.waiting.drain(..) {
            let last = row.len().saturating_sub(1);
            for (index, (cell, width)) in row.iter().zip(&self.widths).enumerate() {
                if index == last {
                    writeln!(self.out, "{cell}")?;
                } else {
                    write!(self.out, "{cell:width$}   ")?;
                }
            }
        }
        Ok(())
    }
}
