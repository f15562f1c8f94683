mod content;
mod document;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use etcdsnap::bolt::{Fault, FileOffset, MetaFault, PageId, PageView, Referrers, Run, Use};
use etcdsnap::ops::pages::Survey;
use serde::Serialize;

use super::pages::surveyed;
use super::{PageFormat, SCHEMA_VERSION, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::{Looking, Threads};
use crate::cli::output::text::{count, safe};
use crate::cli::{Context, Outcome};

/// What is on a page
///
/// Its header, what is wrong with it, what it belongs to, who points at it, its
/// elements as etcd means them, and its bytes where they are not understood. ID is
/// a number, also as 0x hex, or @OFFSET for the page that has that byte of the
/// file. Without ID: the two metas. Exit 1 if there is damage on one of them.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap page [OPTIONS] FILE [ID]...")]
pub(crate) struct Page {
    /// The snapshot, and numbers of pages, or offsets
    #[arg(value_name = "FILE [ID]")]
    words: Vec<OsString>,
    /// Also all bytes of the page
    #[arg(long)]
    hex: bool,
    /// How many elements, ids, referrers, and lines of hex of each page are shown at
    /// most
    #[arg(long, value_name = "N", default_value_t = 256)]
    limit: usize,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    #[command(flatten)]
    looking: Looking,
    #[command(flatten)]
    threads: Threads,
}

/// A page that was asked for, and all that is known of it.
struct Sheet<'s, 'a> {
    survey: &'s Survey<'a>,
    /// The page that was asked for, which may be an overflow page of the run.
    asked: PageId,
    run: Run,
    view: PageView<'a>,
    faults: Vec<Fault>,
    /// If it is a meta.
    meta_fault: Option<MetaFault>,
    referrers: Referrers,
    limit: usize,
    hex: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    page_size: u64,
    pages: Vec<document::SheetDocument>,
}

/// A place in the file, as it was asked for.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Page(u64),
    Offset(u64),
}

impl Asked {
    fn parse(word: &OsStr) -> Result<Self, Failure> {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        };
        let parsed = word.to_str().and_then(|text| match text.strip_prefix('@') {
            Some(offset) => number(offset).map(Self::Offset),
            None => number(text).map(Self::Page),
        });
        parsed.ok_or_else(|| {
            Failure::usage(format!("{:?} is no page", word.to_string_lossy()))
                .hint("name pages as 12, 0xc, or @OFFSET for the page that has that byte of the file")
        })
    }
}

impl Page {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.looking.named.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.looking.named.split(&self.words)?;
        let mut asked = Vec::new();
        for word in &words {
            asked.push(Asked::parse(word)?);
        }
        if asked.is_empty() {
            asked = vec![Asked::Page(0), Asked::Page(1)];
        }
        surveyed(context, &self.looking, &self.threads, &file, |context, survey| {
            self.show(context, survey, &asked)
        })
    }

    fn show(
        &self,
        context: &mut Context<'_>,
        survey: &Survey<'_>,
        asked: &[Asked],
    ) -> Result<Outcome, Failure> {
        let mut found = Vec::new();
        for asked in asked {
            found.push(find(survey, *asked)?);
        }
        let wanted: BTreeSet<PageId> = found.iter().map(|(_, run)| run.first).collect();
        let mut referrers = survey.census.referrers(&wanted);
        let sheets: Vec<Sheet<'_, '_>> =
            found.into_iter().map(|(id, run)| self.sheet(survey, id, run, &mut referrers)).collect();
        if self.output == PageFormat::Json {
            let pages = sheets.iter().map(document::SheetDocument::of).collect();
            let page_size = survey.census.image().page_size().bytes();
            write_json(context.out, &Document { schema_version: SCHEMA_VERSION, page_size, pages })?;
        } else {
            for (index, sheet) in sheets.iter().enumerate() {
                if index > 0 {
                    writeln!(context.out)?;
                }
                text::write(context.out, sheet)?;
            }
        }
        if let Some(error) = &survey.no_meta {
            context.out.flush()?;
            context.say(format_args!(
                "warning: {error}; what belongs to what is not known, and pages are read by their own headers"
            ));
        }
        let damaged = sheets.iter().any(Sheet::is_damaged);
        Ok(if damaged { Outcome::No } else { Outcome::Yes })
    }

    fn sheet<'s, 'a>(
        &self,
        survey: &'s Survey<'a>,
        asked: PageId,
        run: Run,
        referrers: &mut BTreeMap<PageId, Referrers>,
    ) -> Sheet<'s, 'a> {
        let number = usize::try_from(run.first.0).ok().filter(|_| run.kind == Use::Meta);
        Sheet {
            survey,
            asked,
            run,
            view: survey.census.view(&run),
            faults: survey.census.faults_of(&run),
            meta_fault: number.and_then(|number| survey.meta_fault(number)),
            referrers: referrers.get(&run.first).cloned().unwrap_or_default(),
            limit: self.limit,
            hex: self.hex,
        }
    }
}

impl Sheet<'_, '_> {
    fn is_damaged(&self) -> bool {
        self.run.faulty || self.run.shared || self.meta_fault.is_some() || !self.faults.is_empty()
    }

    /// Whether nothing makes sense of its bytes, and there is something to see.
    fn is_strange(&self) -> bool {
        self.view.form.is_none() && self.view.bytes.iter().any(|byte| *byte != 0)
    }
}

fn find(survey: &Survey<'_>, asked: Asked) -> Result<(PageId, Run), Failure> {
    let census = &survey.census;
    let id = match asked {
        Asked::Page(id) => PageId(id),
        Asked::Offset(offset) => survey.page_at(offset),
    };
    if let Some(run) = census.run_of(id) {
        return Ok((id, run));
    }
    let (start, length) = census.behind();
    let end = start.0.saturating_add(length);
    let offset = match asked {
        Asked::Page(_) => census.image().offset_of(id),
        Asked::Offset(offset) => FileOffset(offset),
    };
    let last = census.pages().saturating_sub(1);
    let failure = Failure::no(format!("there is no page {id}: the last one is {last}"));
    Err(if census.missing_pages() > 0 && id < census.image().high_water_mark() {
        failure.hint(format!(
            "the database has more, but the file ends before the last {} of them",
            count(census.missing_pages(), "page", "pages")
        ))
    } else if (start.0..end).contains(&offset.0) {
        failure.hint(format!(
            "offset {offset} is behind the pages: {} from {start} on, which are the digest or room that etcd has set aside",
            count(length, "byte", "bytes")
        ))
    } else {
        failure.hint("`etcdsnap pages` lists them")
    })
}

/// A fault in a line.
fn fault_line(fault: &Fault) -> String {
    let element = fault.place.element.map_or_else(String::new, |element| format!("element {element}: "));
    let (expected, found) = (fault.kind.expected(), fault.kind.found());
    safe(format!("{}: {element}expected {expected}, found {found}", fault.kind.code()).as_bytes())
}
