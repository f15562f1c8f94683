//! The one vocabulary of damage of this layer.
//!
//! A [`Fault`] says where it was met, what was expected there and what was
//! found. Strict readers return the first; the walk collects all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{FileOffset, PageFlags, PageId};

/// Where in the file something was met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The page, unless the place is in no page.
    pub page: Option<PageId>,
    /// The element of the page, counted from 0.
    pub element: Option<u32>,
    /// Bytes from the start of the file, if they say more than the page.
    pub offset: Option<FileOffset>,
}

impl Place {
    /// A page as a whole.
    pub fn page(page: PageId) -> Self {
        Self { page: Some(page), element: None, offset: None }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        if let Some(page) = self.page {
            write!(f, "page {page}")?;
            separator = ", ";
        }
        if let Some(element) = self.element {
            write!(f, "{separator}element {element}")?;
            separator = ", ";
        }
        if let Some(offset) = self.offset {
            write!(f, "{separator}offset {offset}")?;
        }
        Ok(())
    }
}

/// The beginning of a key, for messages: keys can be 32 KiB, faults are many.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excerpt {
    /// The first bytes of the key.
    pub bytes: Vec<u8>,
    /// Whether there are more.
    pub cut: bool,
}

impl Excerpt {
    const LENGTH: usize = 256;

    /// The first bytes of `key`.
    pub fn of(key: &[u8]) -> Self {
        match key.get(..Self::LENGTH) {
            Some(head) if key.len() > Self::LENGTH => Self { bytes: head.to_vec(), cut: true },
            _ => Self { bytes: key.to_vec(), cut: false },
        }
    }
}

impl std::fmt::Display for Excerpt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"{}", self.bytes.escape_ascii(), if self.cut { "..." } else { "" })
    }
}

/// The keys that a damaged part of a tree was to hold: from `lower` up to, but
/// without, `upper`. An absent bound is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// The separator at or below the first key.
    pub lower: Option<Excerpt>,
    /// The separator above the last key.
    pub upper: Option<Excerpt>,
}

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was met.
    pub place: Place,
    /// The top-level bucket whose tree it was met in.
    pub bucket: Option<Arc<[u8]>>,
    /// What is wrong.
    pub kind: FaultKind,
    /// The keys that cannot be read because of it.
    pub lost: Option<Box<KeyRange>>,
}

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $name:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })?
        = $code:literal, expected($expected:literal), found($found:literal);)*) => {
        /// What is wrong, with what was expected and found.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(#[$doc])* $name $({ $($(#[$field_doc])* $field: $type),* })?,)*
        }

        impl FaultKind {
            /// A stable name for this kind of fault.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$name $({ $($field: _),* })? => $code,)* }
            }

            /// What a sound file would have here.
            pub fn expected(&self) -> String {
                #[allow(unused_variables)]
                match self { $(Self::$name $({ $($field),* })? => format!($expected),)* }
            }

            /// What is here instead.
            pub fn found(&self) -> String {
                #[allow(unused_variables)]
                match self { $(Self::$name $({ $($field),* })? => format!($found),)* }
            }
        }
    };
}

fault_kinds! {
    /// A page, or a part of its overflow run, lies beyond the end of the file.
    BeyondFile {
        /// Where the run would end.
        end: u64,
        /// Where the file ends.
        length: u64,
    } = "page-beyond-file", expected("a page that ends at or before byte {length}, the end of the file"),
        found("a page that ends at byte {end}");
    /// A reference to a page that is a meta or above the high-water mark.
    ReferenceOutOfRange {
        /// The page referred to.
        target: PageId,
        /// The first page that was never allocated.
        high_water_mark: PageId,
    } = "reference-out-of-range", expected("a page from 2 to below the high-water mark {high_water_mark}"),
        found("a reference to page {target}");
    /// A page's own number is not its position.
    PageId {
        /// Its position.
        position: PageId,
        /// The number in its header.
        id: u64,
    } = "page-id", expected("page number {position} in the header"), found("page number {id}");
    /// A page in a tree that is neither branch nor leaf.
    PageType {
        /// The flags in its header.
        flags: PageFlags,
    } = "page-type", expected("a branch or leaf page"), found("{flags}");
    /// A freelist reference to a page of another kind.
    NotAFreelist {
        /// The flags in its header.
        flags: PageFlags,
    } = "not-a-freelist", expected("a freelist page"), found("{flags}");
    /// An overflow run that reaches the high-water mark.
    OverflowOutOfRange {
        /// Pages that follow the first.
        overflow: u32,
        /// The first page that was never allocated.
        high_water_mark: PageId,
    } = "overflow-out-of-range", expected("an overflow run that ends below the high-water mark {high_water_mark}"),
        found("{overflow} overflow pages");
    /// A page that belongs to something else already.
    MultipleReferences {
        /// The page that is claimed twice.
        shared: PageId,
    } = "multiple-references", expected("a page that belongs to one parent"),
        found("page {shared} belongs to something else already");
    /// A branch page without children.
    EmptyBranch = "empty-branch", expected("at least one child"), found("none");
    /// A leaf page without keys that is not the root of its bucket.
    EmptyLeaf = "empty-leaf", expected("at least one key"), found("none");
    /// A leaf page that counts no element and has data nevertheless: bbolt leaves zeros.
    ElementsHidden {
        /// Bytes up to the last one that is not zero.
        bytes: u64,
    } = "elements-hidden", expected("zeros behind the header of a page without elements"), found("{bytes} bytes of data");
    /// More elements than the page has room for.
    TableTooLong {
        /// How many elements the header claims.
        count: u16,
        /// Bytes of the page with its overflow.
        region: u64,
    } = "element-table-too-long", expected("an element table inside the page's {region} bytes"),
        found("{count} elements");
    /// Key or value reach out of their page, or into the element table.
    ElementOutside {
        /// Where the data would begin, from the start of the page.
        start: u64,
        /// Where it would end.
        end: u64,
        /// Where data may begin: after the element table.
        first: u64,
        /// Bytes of the page with its overflow.
        region: u64,
    } = "element-outside-page", expected("data within bytes {first} to {region} of the page"),
        found("data from {start} to {end}");
    /// A key of no bytes, or of more than bbolt allows.
    KeySize {
        /// Bytes of the key.
        size: u32,
    } = "key-size", expected("a key of 1 to 32768 bytes"), found("{size} bytes");
    /// The elements together claim more data than their page has.
    ElementsTooLarge {
        /// Bytes that all elements claim.
        claimed: u64,
        /// Bytes of the page with its overflow.
        region: u64,
    } = "elements-too-large", expected("elements that share the page's {region} bytes"),
        found("elements that claim {claimed} bytes");
    /// The data of two elements of a page overlap.
    ElementsOverlap {
        /// Where the data of this element begins, from the start of the page.
        start: u64,
        /// Where the other element's data ends.
        other_end: u64,
    } = "elements-overlap", expected("data that begins at or after byte {other_end} of the page"),
        found("data that begins at byte {start}");
    /// Bytes of a page between its elements that belong to none of them: bbolt
    /// writes key after key without a gap. Where the table was made shorter, or a
    /// size smaller, something is missing there.
    ElementsApart {
        /// Where the data of this element begins, from the start of the page.
        start: u64,
        /// Where that of the element before it ends, or the table.
        before: u64,
    } = "elements-apart", expected("data that begins at byte {before} of the page, right behind what is before it"),
        found("data that begins at byte {start}");
    /// Bytes behind the last element of a page inside a bucket's value.
    InlineSlack {
        /// Where the elements end, from the start of that page.
        end: u64,
        /// Where the bucket's value ends.
        region: u64,
    } = "inline-slack", expected("a bucket's value that ends with its last element, at byte {end}"),
        found("{region} bytes");
    /// A page with more overflow than its elements take: bbolt gives them as many pages as
    /// they have bytes for, and before 1.3.1 one more where they end with a page.
    OverflowUnused {
        /// How many pages it has.
        pages: u64,
        /// Where the elements end, from the start of the page.
        end: u64,
    } = "overflow-unused", expected("no more pages than what ends at byte {end} takes"),
        found("{pages} pages");
    /// Data behind the last element of a leaf: bbolt fills its pages up with zeros.
    DataBehind {
        /// Where the elements end, from the start of the page.
        end: u64,
        /// The byte there.
        byte: u8,
    } = "data-behind", expected("zeros behind the last element, from byte {end} of the page on"),
        found("byte {byte:#04x}");
    /// A leaf element with flags that bbolt never writes.
    ElementFlags {
        /// The flags.
        flags: u32,
    } = "element-flags", expected("element flags 0 or 1"), found("{flags:#x}");
    /// A key below or equal to the one before it.
    KeyOrder {
        /// The key before.
        previous: Excerpt,
        /// This key.
        key: Excerpt,
    } = "key-order", expected("a key above {previous}"), found("{key}");
    /// A key below the separator that leads to its page.
    KeyBelowParent {
        /// The separator.
        separator: Excerpt,
        /// The key.
        key: Excerpt,
    } = "key-below-parent", expected("a key at or above {separator}"), found("{key}");
    /// A key at or above the separator that leads to the next page.
    KeyAboveParent {
        /// The separator.
        separator: Excerpt,
        /// The key.
        key: Excerpt,
    } = "key-above-parent", expected("a key below {separator}"), found("{key}");
    /// A leaf at another depth than the first leaf of its tree.
    UnevenDepth {
        /// Depth of the first leaf.
        first: u32,
        /// Depth of this one.
        depth: u32,
    } = "uneven-depth", expected("a leaf at depth {first}"), found("a leaf at depth {depth}");
    /// A tree deeper than any real one can be.
    TooDeep {
        /// The deepest level that is followed.
        limit: u32,
    } = "too-deep", expected("a tree of at most {limit} levels"), found("more");
    /// A bucket's value too short for a bucket.
    BucketHeader {
        /// Bytes of the value.
        size: u64,
        /// The least it needs.
        least: u64,
    } = "bucket-header", expected("a bucket of at least {least} bytes"), found("{size} bytes");
    /// An inline bucket whose page image is not a leaf page.
    InlineBucket {
        /// The flags of the image.
        flags: PageFlags,
        /// Its overflow.
        overflow: u32,
    } = "inline-bucket", expected("a leaf page without overflow inside the bucket"),
        found("{flags} with overflow {overflow}");
    /// A bucket inside an inline bucket, which bbolt never writes.
    NestedInInline = "bucket-in-inline-bucket", expected("a plain value"), found("a nested bucket");
    /// A plain value among the top-level buckets.
    NotABucket {
        /// Its key.
        key: Excerpt,
    } = "not-a-bucket", expected("only buckets at the top level"), found("a plain value under {key}");
    /// A freelist that needs more bytes than its page has.
    FreelistTooLong {
        /// Ids it claims.
        count: u64,
        /// Bytes of the page with its overflow.
        region: u64,
    } = "freelist-too-long", expected("a list inside the page's {region} bytes"), found("{count} ids");
    /// A free page id out of range.
    FreeOutOfRange {
        /// The id.
        id: u64,
        /// The first page that was never allocated.
        high_water_mark: PageId,
    } = "free-out-of-range", expected("ids from 2 to below the high-water mark {high_water_mark}"),
        found("{id}");
    /// An id twice in the freelist.
    FreedTwice {
        /// The id.
        id: PageId,
    } = "freed-twice", expected("every id once"), found("{id} again");
    /// The freelist is not in ascending order.
    FreelistOrder {
        /// The id before.
        previous: u64,
        /// This id.
        id: u64,
    } = "freelist-order", expected("an id above {previous}"), found("{id}");
    /// A page in use that the freelist calls free.
    ReachableFreed = "reachable-freed", expected("a page in use that is not in the freelist"),
        found("it is in the freelist");
    /// A page that is neither in use nor in the freelist.
    UnreachableUnfreed = "unreachable-unfreed", expected("a page that is in use or free"), found("it is neither");
}

/// Faults of a walk: exact counts, and the first of each kind in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultLog {
    kinds: BTreeMap<&'static str, (u64, Vec<Fault>)>,
    /// Top-level buckets whose keys are out of order, those of faults not kept included.
    out_of_order: BTreeSet<Arc<[u8]>>,
}

impl FaultLog {
    /// How many faults of one kind are kept in full.
    pub const KEPT: usize = 1000;

    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        if fault.kind.is_of_order()
            && let Some(bucket) = &fault.bucket
            && !self.out_of_order.contains(bucket)
        {
            self.out_of_order.insert(Arc::clone(bucket));
        }
        let (count, kept) = self.kinds.entry(fault.kind.code()).or_default();
        *count = count.saturating_add(1);
        if kept.len() < Self::KEPT {
            kept.push(fault);
        }
    }

    /// Adds the faults of a later part.
    pub(crate) fn append(&mut self, later: Self) {
        self.out_of_order.extend(later.out_of_order);
        for (code, (more, faults)) in later.kinds {
            let (count, kept) = self.kinds.entry(code).or_default();
            *count = count.saturating_add(more);
            let room = Self::KEPT.saturating_sub(kept.len());
            kept.extend(faults.into_iter().take(room));
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Whether top-level bucket `name` has keys out of order, or where none like them belong.
    pub(crate) fn is_out_of_order(&self, name: &[u8]) -> bool {
        self.out_of_order.contains(name)
    }

    /// How many faults there are, those not kept included.
    pub fn len(&self) -> u64 {
        self.kinds.values().map(|(count, _)| count).sum()
    }

    /// Exact number of faults of each kind, by code.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.kinds.iter().map(|(code, (count, _))| (*code, *count))
    }

    /// The faults that were kept, by page and element.
    pub fn sorted(&self) -> Vec<&Fault> {
        let mut faults: Vec<_> = self.kinds.values().flat_map(|(_, kept)| kept).collect();
        faults.sort_by_key(|fault| fault.place);
        faults
    }
}

impl FaultKind {
    /// Whether it is about the page of the stored freelist, which no tree needs.
    pub(crate) fn is_of_freelist(&self) -> bool {
        matches!(self, Self::NotAFreelist { .. } | Self::FreelistTooLong { .. })
    }

    /// Whether a key stands where it does not belong.
    fn is_of_order(&self) -> bool {
        matches!(self, Self::KeyOrder { .. } | Self::KeyBelowParent { .. } | Self::KeyAboveParent { .. })
    }

    /// Whether elements may be missing from the page, and nothing tells how many.
    pub(crate) fn may_hide_elements(&self) -> bool {
        matches!(self, Self::ElementsHidden { .. } | Self::ElementsApart { .. } | Self::DataBehind { .. })
    }
}
