//! A page for programs.

use etcdsnap::bolt::{BranchElement, Fault, FormFound, LeafElement, NO_FREELIST, Referrer, Use};
use etcdsnap::etcd::entry::{Entry, Within};
use etcdsnap::etcd::lease::LeaseId;
use etcdsnap::ops::pages::content;
use serde::Serialize;

use super::super::pages::{RunDocument, shown};
use super::{Sheet, content as words, text};
use crate::cli::output::text::{hex, safe};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SheetDocument {
    /// The page that was asked for.
    asked: u64,
    #[serde(flatten)]
    run: RunDocument,
    header: Option<HeaderDocument>,
    faults: Vec<FaultDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<MetaDocument>,
    /// The keys that may stand here.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below_key: Option<String>,
    referrers: Vec<ReferrerDocument>,
    referrer_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack_not_zero: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    free_ranges: Vec<RangeDocument>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<ChildDocument>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<EntryDocument>,
    /// How many of those lists were left out for the limit.
    omitted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

#[derive(Serialize)]
struct HeaderDocument {
    id: u64,
    flags: u16,
    count: u16,
    overflow: u32,
}

#[derive(Serialize)]
struct FaultDocument {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    element: Option<u32>,
    expected: String,
    found: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetaDocument {
    magic: String,
    version: u32,
    page_size: u32,
    flags: u32,
    root: u64,
    sequence: u64,
    freelist: Option<u64>,
    high_water_mark: u64,
    txid: u64,
    checksum: String,
    checksum_computed: String,
    in_force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "by", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ReferrerDocument {
    Root { meta: usize },
    Freelist { meta: usize },
    Bucket { bucket: String, page: u64, element: u32 },
    Branch { page: u64, element: u32, in_use: bool },
    FreeList { position: u64 },
}

#[derive(Serialize)]
struct RangeDocument {
    first: u64,
    last: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChildDocument {
    element: u32,
    child: u64,
    key: String,
    key_hex: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryDocument {
    element: u32,
    offset: u64,
    is_bucket: bool,
    key: String,
    key_hex: String,
    value_size: u64,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<RecordDocument>,
    /// Why it is not what its bucket holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The first bytes of a value that is not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordDocument {
    key: String,
    revision: i64,
    sub_revision: i64,
    tombstone: bool,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    value_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_form: Option<String>,
}

impl SheetDocument {
    pub(super) fn of(sheet: &Sheet<'_, '_>) -> Self {
        let Sheet { survey, run, view, limit, .. } = sheet;
        let within = survey.within(run);
        let (lower, upper) = survey.census.bounds(run);
        let mut omitted = 0u64;
        let mut left_out = |all: usize| omitted += all.saturating_sub(*limit) as u64;
        let mut faults: Vec<FaultDocument> = sheet.faults.iter().map(FaultDocument::of).collect();
        let mut unread = |more: Vec<Fault>| {
            if sheet.faults.is_empty() {
                faults.extend(more.iter().map(FaultDocument::of));
            }
        };
        let (mut children, mut entries, mut free_ranges) = (Vec::new(), Vec::new(), Vec::new());
        match view.form {
            Some(FormFound::Branch) => {
                let (elements, more) = view.branch_elements();
                left_out(elements.len());
                unread(more);
                children
                    .extend(elements.iter().take(*limit).map(|element| ChildDocument::of(within, element)));
            }
            Some(FormFound::Leaf) => {
                let (elements, more) = view.leaf_elements();
                left_out(elements.len());
                unread(more);
                entries
                    .extend(elements.iter().take(*limit).map(|element| EntryDocument::of(within, element)));
            }
            Some(FormFound::Freelist) => {
                let ranges = text::ranges(&view.free_ids().unwrap_or_default());
                left_out(ranges.len());
                let ranges = ranges.into_iter().take(*limit);
                free_ranges.extend(ranges.map(|(first, last)| RangeDocument { first, last }));
            }
            Some(FormFound::Meta) | None => {}
        }
        let bytes = view.bytes.get(..limit.saturating_mul(16)).unwrap_or(view.bytes);
        Self {
            asked: sheet.asked.0,
            run: RunDocument::of(survey, run),
            header: view.header.map(|header| HeaderDocument {
                id: header.id,
                flags: header.flags.0,
                count: header.count,
                overflow: header.overflow,
            }),
            faults,
            meta: (run.kind == Use::Meta).then(|| MetaDocument::of(sheet)).flatten(),
            from_key: lower.map(|key| shown::key_whole(within, key)),
            below_key: upper.map(|key| shown::key_whole(within, key)),
            referrers: sheet.referrers.first.iter().map(|found| ReferrerDocument::of(sheet, found)).collect(),
            referrer_count: sheet.referrers.count,
            slack_not_zero: view.slack().map(|slack| slack.iter().filter(|byte| **byte != 0).count() as u64),
            free_ranges,
            children,
            entries,
            omitted,
            hex: (sheet.hex || sheet.is_strange()).then(|| hex(bytes)),
        }
    }
}

impl FaultDocument {
    fn of(fault: &Fault) -> Self {
        let kind = &fault.kind;
        Self {
            code: kind.code(),
            element: fault.place.element,
            expected: kind.expected(),
            found: kind.found(),
        }
    }
}

impl MetaDocument {
    fn of(sheet: &Sheet<'_, '_>) -> Option<Self> {
        let fields = sheet.view.meta_fields()?;
        Some(Self {
            magic: format!("{:08x}", fields.magic),
            version: fields.version,
            page_size: fields.page_size,
            flags: fields.flags,
            root: fields.root,
            sequence: fields.sequence,
            freelist: Some(fields.freelist).filter(|id| *id != NO_FREELIST),
            high_water_mark: fields.high_water_mark,
            txid: fields.txid,
            checksum: format!("{:016x}", fields.checksum),
            checksum_computed: format!("{:016x}", fields.checksum_computed),
            in_force: sheet.survey.census.db().is_some_and(|db| db.active as u64 == sheet.run.first.0),
            fault: sheet.meta_fault.map(|fault| fault.to_string()),
        })
    }
}

impl ReferrerDocument {
    fn of(sheet: &Sheet<'_, '_>, referrer: &Referrer) -> Self {
        match *referrer {
            Referrer::Root { meta } => Self::Root { meta },
            Referrer::Freelist { meta } => Self::Freelist { meta },
            Referrer::Bucket { tree, page, element } => {
                Self::Bucket { bucket: shown::tree_name(sheet.survey, tree), page: page.0, element }
            }
            Referrer::Branch { page, element, in_use } => Self::Branch { page: page.0, element, in_use },
            Referrer::Listed { index } => Self::FreeList { position: index },
        }
    }
}

impl ChildDocument {
    fn of(within: Within<'_>, element: &BranchElement<'_>) -> Self {
        Self {
            element: element.index,
            child: element.child.0,
            key: shown::key_whole(within, element.key),
            key_hex: hex(element.key),
        }
    }
}

impl EntryDocument {
    fn of(within: Within<'_>, element: &LeafElement<'_>) -> Self {
        const SHOWN: usize = 64;
        let content = content(within, element);
        let words = words::words(&content);
        let value = element.value();
        Self {
            element: element.index,
            offset: element.data_offset().0,
            is_bucket: element.is_bucket,
            key: shown::key_whole(within, element.key()),
            key_hex: hex(element.key()),
            value_size: value.len() as u64,
            value_hex: words.is_none().then(|| hex(value.get(..SHOWN).unwrap_or(value))),
            record: match &content.entry {
                Ok(Entry::Record(record)) => Some(RecordDocument {
                    key: safe(record.kv.key),
                    revision: record.revision.main,
                    sub_revision: record.revision.sub,
                    tombstone: record.tombstone,
                    create_revision: record.kv.create_revision,
                    mod_revision: record.kv.mod_revision,
                    version: record.kv.version,
                    lease: (record.kv.lease != 0).then(|| LeaseId(record.kv.lease).to_string()),
                    value_size: record.kv.value.len() as u64,
                    value_form: content.envelope.as_ref().and_then(words::envelope),
                }),
                _ => None,
            },
            error: content.entry.as_ref().err().map(|error| safe(error.to_string().as_bytes())),
            content: words,
        }
    }
}
