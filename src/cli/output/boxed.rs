//! The `+---+` tables of etcdctl and etcdutl up to 3.6: headers centred, cells
//! to the right. Their later versions draw the lines with box characters.

use std::io::{self, Write};

/// Writes a table.
pub(crate) fn write(out: &mut dyn Write, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|title| title.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line: String = widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect();
    writeln!(out, "{line}+")?;
    for (title, width) in header.iter().zip(&widths) {
        write!(out, "| {title:^width$} ")?;
    }
    writeln!(out, "|\n{line}+")?;
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            write!(out, "| {cell:>width$} ")?;
        }
        writeln!(out, "|")?;
    }
    writeln!(out, "{line}+")
}
