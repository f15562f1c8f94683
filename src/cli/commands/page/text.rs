//! A page for people.

use std::io::{self, Write};

use etcdsnap::bolt::{Fault, FormFound, NO_FREELIST, PageId, Referrer, Use};
use etcdsnap::ops::pages::content;

use super::super::pages::shown;
use super::{Sheet, content as words, fault_line};
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, safe};

pub(super) fn write(out: &mut (dyn Write + Send), sheet: &Sheet<'_, '_>) -> io::Result<()> {
    let Sheet { run, view, .. } = sheet;
    let size = grouped(view.bytes.len() as u64);
    let overflow = match run.pages {
        0 | 1 => String::new(),
        pages => format!(" with {}", count(pages.saturating_sub(1), "overflow page", "overflow pages")),
    };
    writeln!(out, "page {}{overflow}: {}, offset {}, {size} bytes", run.first, run.kind.name(), view.offset)?;
    if sheet.asked != run.first {
        line(out, "asked for", &format!("page {}, which is overflow of page {}", sheet.asked, run.first))?;
    }
    header(out, sheet)?;
    line(out, "state", &state(sheet))?;
    if let Some(fault) = &sheet.meta_fault {
        line(out, "fault", &fault.to_string())?;
    }
    for fault in sheet.faults.iter().take(sheet.limit) {
        line(out, "fault", &fault_line(fault))?;
    }
    more(out, sheet.faults.len(), sheet.limit, "fault", "faults")?;
    belongs(out, sheet)?;
    referrers(out, sheet)?;
    if let Some(used) = view.used() {
        line(out, "used", &format!("{} bytes", grouped(used)))?;
    }
    if let Some(slack) = view.slack().filter(|slack| !slack.is_empty()) {
        let bytes = count(slack.len() as u64, "byte", "bytes");
        let left = slack.iter().filter(|byte| **byte != 0).count() as u64;
        line(
            out,
            "slack",
            &match left {
                0 => format!("{bytes}, all zero"),
                left => format!("{bytes}, {} of them not zero: what an earlier page has left", grouped(left)),
            },
        )?;
    }
    match view.form {
        Some(FormFound::Meta) => meta(out, sheet)?,
        Some(FormFound::Branch) => branch(out, sheet)?,
        Some(FormFound::Leaf) => leaf(out, sheet)?,
        Some(FormFound::Freelist) => free_list(out, sheet)?,
        None if run.kind == Use::Meta => meta(out, sheet)?,
        None => {}
    }
    if sheet.hex || sheet.is_strange() {
        writeln!(out)?;
        dump(out, sheet)?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {name:<12}{text}")
}

fn more(out: &mut dyn Write, all: usize, limit: usize, one: &str, many: &str) -> io::Result<()> {
    match all.checked_sub(limit) {
        None | Some(0) => Ok(()),
        Some(left) => writeln!(out, "  ... {} more: --limit", count(left as u64, one, many)),
    }
}

fn header(out: &mut dyn Write, sheet: &Sheet<'_, '_>) -> io::Result<()> {
    let Some(header) = sheet.view.header else {
        return line(out, "header", "none: the file ends inside it");
    };
    let text = format!(
        "id {}, flags {:#06x} ({}), count {}, overflow {}",
        header.id, header.flags.0, header.flags, header.count, header.overflow
    );
    line(out, "header", &text)
}

fn state(sheet: &Sheet<'_, '_>) -> String {
    let run = &sheet.run;
    match (shown::state(run), run.kind) {
        ("ok", Use::Free) => {
            let stored = sheet.survey.census.has_freelist();
            let how = if stored {
                "it is in the list of free pages"
            } else {
                "nothing reaches it, and no list is stored"
            };
            match sheet.view.form {
                Some(form) => format!("free: {how}; it was a {}", form.name()),
                None => format!("free: {how}"),
            }
        }
        ("damaged", Use::Leaked) => {
            "leaked: nothing reaches it, and the list of free pages does not have it".to_owned()
        }
        ("damaged", _) if run.listed => "damaged: in use, but in the list of free pages".to_owned(),
        ("shared", _) => "shared: more than one claims it or a part of it".to_owned(),
        (state, _) => state.to_owned(),
    }
}

/// Bucket, depth, parent and the keys that may stand here.
fn belongs(out: &mut dyn Write, sheet: &Sheet<'_, '_>) -> io::Result<()> {
    let Some(bucket) = shown::bucket(sheet.survey, &sheet.run) else { return Ok(()) };
    line(out, "bucket", &format!("{bucket}, depth {}", sheet.run.depth))?;
    let within = sheet.survey.within(&sheet.run);
    let (lower, upper) = sheet.survey.census.bounds(&sheet.run);
    let text = match (lower, upper) {
        (None, None) => "all of the bucket".to_owned(),
        (Some(lower), None) => format!("from {} on", shown::key_text(within, lower)),
        (None, Some(upper)) => format!("below {}", shown::key_text(within, upper)),
        (Some(lower), Some(upper)) => {
            format!("from {} to below {}", shown::key_text(within, lower), shown::key_text(within, upper))
        }
    };
    line(out, "keys", &text)
}

fn referrers(out: &mut dyn Write, sheet: &Sheet<'_, '_>) -> io::Result<()> {
    if sheet.referrers.count == 0 && sheet.run.kind != Use::Meta {
        line(out, "named by", "nothing")?;
    }
    for referrer in sheet.referrers.first.iter().take(sheet.limit) {
        line(out, "named by", &referrer_text(sheet, referrer))?;
    }
    let all = usize::try_from(sheet.referrers.count).unwrap_or(usize::MAX);
    more(out, all, sheet.referrers.first.len().min(sheet.limit), "page or list", "pages and lists")
}

fn referrer_text(sheet: &Sheet<'_, '_>, referrer: &Referrer) -> String {
    match *referrer {
        Referrer::Root { meta } => format!("meta {meta}, as the root"),
        Referrer::Freelist { meta } => format!("meta {meta}, as the list of free pages"),
        Referrer::Bucket { tree, page, element } => {
            format!(
                "page {page} element {element}, as the root of bucket {}",
                shown::tree_name(sheet.survey, tree)
            )
        }
        Referrer::Branch { page, element, in_use: true } => format!("page {page} element {element}"),
        Referrer::Branch { page, element, in_use: false } => {
            format!("page {page} element {element}, a branch that is itself not in use")
        }
        Referrer::Listed { index } => format!("the list of free pages, position {index}"),
    }
}

fn meta(out: &mut dyn Write, sheet: &Sheet<'_, '_>) -> io::Result<()> {
    let Some(fields) = sheet.view.meta_fields() else { return Ok(()) };
    let active = sheet.survey.census.db().map(|db| db.active as u64);
    writeln!(out)?;
    line(out, "magic", &format!("{:#010x}", fields.magic))?;
    line(out, "version", &fields.version.to_string())?;
    line(out, "page size", &grouped(u64::from(fields.page_size)))?;
    line(out, "flags", &format!("{:#x}", fields.flags))?;
    line(out, "root", &format!("page {}", fields.root))?;
    line(out, "sequence", &fields.sequence.to_string())?;
    line(
        out,
        "freelist",
        &match fields.freelist {
            NO_FREELIST => "none stored".to_owned(),
            page => format!("page {page}"),
        },
    )?;
    line(out, "high water", &format!("page {}", fields.high_water_mark))?;
    line(out, "txid", &fields.txid.to_string())?;
    let matches = if fields.checksum == fields.checksum_computed { "matches" } else { "differs" };
    line(
        out,
        "checksum",
        &format!("{:#018x} stored, {:#018x} computed: {matches}", fields.checksum, fields.checksum_computed),
    )?;
    line(
        out,
        "in force",
        match active {
            _ if sheet.run.kind != Use::Meta => "no: this is no place for a meta",
            None => "no: neither meta can be used",
            Some(active) if active == sheet.run.first.0 => "yes: this is the meta that counts",
            Some(_) => "no: the other one counts",
        },
    )
}

fn branch(out: &mut (dyn Write + Send), sheet: &Sheet<'_, '_>) -> io::Result<()> {
    let within = sheet.survey.within(&sheet.run);
    let (elements, faults) = sheet.view.branch_elements();
    let mut table = Columns::new(out, &["ELEMENT", "CHILD", "KEY"]).after_a_blank_line();
    for element in elements.iter().take(sheet.limit) {
        let mut rows = Rows::default();
        rows.cell(&element.index.to_string());
        rows.cell(&element.child.to_string());
        rows.cell(&shown::key_text(within, element.key));
        table.add(&rows)?;
    }
    table.finish()?;
    more(out, elements.len(), sheet.limit, "element", "elements")?;
    unreadable(out, sheet, &faults)
}

fn leaf(out: &mut (dyn Write + Send), sheet: &Sheet<'_, '_>) -> io::Result<()> {
    let within = sheet.survey.within(&sheet.run);
    let (elements, faults) = sheet.view.leaf_elements();
    let mut table = Columns::new(out, &["ELEMENT", "OFFSET", "KEY", "VALUE", "CONTENT"]).after_a_blank_line();
    for element in elements.iter().take(sheet.limit) {
        let content = content(within, element);
        let mut rows = Rows::default();
        rows.cell(&element.index.to_string());
        rows.cell(&element.data_offset().to_string());
        rows.cell(&shown::key_text(within, element.key()));
        rows.cell(&element.value().len().to_string());
        rows.cell(&match (words::words(&content), &content.entry) {
            (Some(words), _) => words,
            (None, Ok(_)) => words::raw(element.value()),
            (None, Err(error)) => format!(
                "not understood: {}: {}",
                safe(error.to_string().as_bytes()),
                words::raw(element.value())
            ),
        });
        table.add(&rows)?;
    }
    table.finish()?;
    more(out, elements.len(), sheet.limit, "element", "elements")?;
    unreadable(out, sheet, &faults)
}

/// Elements of a page that is not in use; of one that is, they are its faults.
fn unreadable(out: &mut dyn Write, sheet: &Sheet<'_, '_>, faults: &[Fault]) -> io::Result<()> {
    if !sheet.faults.is_empty() {
        return Ok(());
    }
    for fault in faults.iter().take(sheet.limit) {
        line(out, "unread", &fault_line(fault))?;
    }
    more(out, faults.len(), sheet.limit, "element", "elements")
}

fn free_list(out: &mut dyn Write, sheet: &Sheet<'_, '_>) -> io::Result<()> {
    let ids = match sheet.view.free_ids() {
        Ok(ids) => ids,
        Err(kind) => {
            return line(out, "unread", &format!("expected {}, found {}", kind.expected(), kind.found()));
        }
    };
    let ranges = ranges(&ids);
    line(out, "lists", &count(ids.len() as u64, "page", "pages"))?;
    for (first, last) in ranges.iter().take(sheet.limit) {
        line(out, "", &if first == last { first.to_string() } else { format!("{first} to {last}") })?;
    }
    more(out, ranges.len(), sheet.limit, "range", "ranges")
}

/// Ids that follow each other, together.
pub(super) fn ranges(ids: &[PageId]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(id.0) => *last = id.0,
            _ => ranges.push((id.0, id.0)),
        }
    }
    ranges
}

/// Bytes in hex, sixteen to a line; lines like the one before are left out.
fn dump(out: &mut dyn Write, sheet: &Sheet<'_, '_>) -> io::Result<()> {
    let mut written = 0;
    let mut previous: Option<&[u8]> = None;
    let mut starred = false;
    for (index, bytes) in sheet.view.bytes.chunks(16).enumerate() {
        if previous == Some(bytes) {
            if !starred {
                writeln!(out, "*")?;
                starred = true;
            }
            continue;
        }
        if written == sheet.limit {
            let rest = sheet.view.bytes.len().saturating_sub(index * 16);
            return writeln!(out, "... {} more: --limit", count(rest as u64, "byte", "bytes"));
        }
        previous = Some(bytes);
        starred = false;
        written += 1;
        let offset = sheet.view.offset.0.saturating_add(index as u64 * 16);
        write!(out, "{offset:010x} ")?;
        for at in 0..16 {
            let gap = if at == 8 { " " } else { "" };
            match bytes.get(at) {
                Some(byte) => write!(out, "{gap} {byte:02x}")?,
                None => write!(out, "{gap}   ")?,
            }
        }
        let text: String = bytes
            .iter()
            .map(|byte| if matches!(byte, 0x20..=0x7e) { char::from(*byte) } else { '.' })
            .collect();
        writeln!(out, "  |{text}|")?;
    }
    let end = sheet.view.offset.0.saturating_add(sheet.view.bytes.len() as u64);
    writeln!(out, "{end:010x}")
}
