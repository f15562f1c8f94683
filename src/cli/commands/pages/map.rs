//! A picture of a file: a character for each page, or for a block of pages.

use std::io::{self, Write};

use etcdsnap::bolt::{Run, Use};
use etcdsnap::ops::pages::Survey;

use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::count;

/// What a character stands for. Of a block that has several, the damaged one
/// shows if there is any, else the one with most pages, the first here of equals.
const LEGEND: [(char, &str); 9] = [
    ('!', "damaged, or claimed more than once"),
    ('M', "meta"),
    ('F', "list of free pages"),
    ('B', "branch"),
    ('L', "leaf"),
    ('o', "overflow of the page before"),
    ('?', "not known: no header of a page"),
    ('.', "free"),
    ('-', "behind the last page"),
];

/// Lines that a picture has at most, unless it is of one page to a character.
const LINES: u64 = 64;

/// Counts of each character's pages.
type Block = [u64; LEGEND.len()];

/// The positions of a run's first page and of the others in the legend.
fn places(run: &Run) -> (usize, usize) {
    if run.shared || run.faulty {
        return (0, if run.kind.is_unused() { 0 } else { 5 });
    }
    let first = match run.kind {
        Use::Bad | Use::Leaked => 0,
        Use::Meta => 1,
        Use::Freelist => 2,
        Use::Branch => 3,
        Use::Leaf => 4,
        Use::Overflow => 5,
        Use::Unknown => 6,
        Use::Free => 7,
    };
    (first, 5)
}

fn character(block: &Block) -> char {
    let damaged = block.first().is_some_and(|pages| *pages > 0);
    let most = block.iter().max().copied().unwrap_or(0);
    let shown = LEGEND.iter().zip(block).find(|(_, pages)| damaged || **pages == most);
    shown.map_or(' ', |((character, _), _)| *character)
}

/// Writes the picture; `width` is that of the terminal.
pub(super) fn write(out: &mut dyn Write, survey: &Survey<'_>, width: usize) -> io::Result<()> {
    let census = &survey.census;
    let page_size = census.image().page_size().bytes();
    let (_, behind) = census.behind();
    let behind = behind / page_size;
    let pages = census.pages().saturating_add(behind);
    let digits = format!("{:x}", pages.saturating_mul(page_size)).len().max(6);
    // The offset with its 0x, and two blanks.
    let room = width.saturating_sub(digits + 4).max(16);
    let columns = 1u64 << (usize::BITS - 1 - room.leading_zeros());
    let mut per = 1u64;
    while pages.div_ceil(per) > columns.saturating_mul(LINES) {
        per = per.saturating_mul(2);
    }
    writeln!(
        out,
        "{} of {} bytes, {} to a character, {} to a line\n",
        count(pages, "page", "pages"),
        grouped(page_size),
        count(per, "page", "pages"),
        humanized(per.saturating_mul(columns).saturating_mul(page_size))
    )?;
    let mut total: Block = Block::default();
    let mut block: Block = Block::default();
    let mut line = String::new();
    let mut done = 0u64;
    let mut draw = |out: &mut dyn Write, place: usize, end: bool| -> io::Result<()> {
        if !end {
            for counts in [&mut total, &mut block] {
                if let Some(pages) = counts.get_mut(place) {
                    *pages += 1;
                }
            }
            done += 1;
        }
        if block.iter().any(|pages| *pages > 0) && (end || done.is_multiple_of(per)) {
            line.push(character(&block));
            block = Block::default();
        }
        if !line.is_empty() && (end || done.is_multiple_of(per.saturating_mul(columns))) {
            let chars = line.len() as u64;
            let blocks = done.div_ceil(per).saturating_sub(chars);
            let start = blocks.saturating_mul(per).saturating_mul(page_size);
            writeln!(out, "{start:#0width$x}  {line}", width = digits + 2)?;
            line.clear();
        }
        Ok(())
    };
    for run in census.runs() {
        let (first, others) = places(&run);
        for page in 0..run.pages {
            draw(out, if page == 0 { first } else { others }, false)?;
        }
    }
    for _ in 0..behind {
        draw(out, LEGEND.len() - 1, false)?;
    }
    draw(out, 0, true)?;
    writeln!(out)?;
    for ((character, meaning), pages) in LEGEND.iter().zip(&total) {
        if *pages > 0 {
            writeln!(out, "{character}  {:>digits$}  {meaning}", grouped(*pages))?;
        }
    }
    let missing = census.missing_pages();
    if missing > 0 {
        writeln!(out, "   {:>digits$}  missing: the file ends before them", grouped(missing))?;
    }
    Ok(())
}
