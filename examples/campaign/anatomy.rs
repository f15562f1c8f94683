//! What each byte of a sound snapshot is for. Read from the file by the format's
//! description alone, without the code that is on trial.
//!
//! Source: bbolt `internal/common/{page,inode,bucket,meta}.go` @ v1.4.3, etcd
//! `api/mvccpb/kv.proto` @ v3.6.14.

use serde::{Deserialize, Serialize};

/// What a byte is for. In the order of how much hangs on it: if several kinds were
/// changed, the last of them stands for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// The SHA-256 behind the pages.
    Digest,
    /// A page that nothing uses.
    FreePage,
    /// Behind the last byte of a page that is in use.
    Slack,
    /// Of a meta's page, what nobody reads: count and overflow of its header, the
    /// meta's flags apart, and all behind the meta.
    MetaPadding,
    /// Number and overflow in the header of a page inside a bucket's value.
    InlinePadding,
    /// A bucket's sequence, which etcd does not use.
    Sequence,
    /// Key or value of a bucket that holds no history: members, leases, users, ...
    Entry,
    /// The value that a client gave to a key.
    Value,
    /// The key that a client chose, as its record repeats it.
    RecordKey,
    /// Tags, lengths and numbers of a record.
    RecordField,
    /// The revision that a record stands under.
    Revision,
    /// A key in a branch page.
    Separator,
    /// The name of a bucket, or its root.
    Bucket,
    /// The stored list of free pages, with its page's header.
    Freelist,
    /// Flags, position, sizes or child of an element.
    Element,
    /// Number, flags, count or overflow of a page in a tree.
    PageHeader,
    /// Number and flags of a meta's page.
    MetaHeader,
    /// A meta, with its checksum.
    Meta,
}

impl Place {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::FreePage => "free page",
            Self::Slack => "slack behind a page's data",
            Self::MetaPadding => "padding of a meta's page",
            Self::InlinePadding => "unused header fields of an inline bucket",
            Self::Sequence => "a bucket's sequence",
            Self::Entry => "entry of a small bucket",
            Self::Value => "value of a key",
            Self::RecordKey => "key in a record",
            Self::RecordField => "numbers of a record",
            Self::Revision => "revision of a record",
            Self::Separator => "key of a branch",
            Self::Bucket => "name or root of a bucket",
            Self::Freelist => "freelist",
            Self::Element => "element table",
            Self::PageHeader => "page header",
            Self::MetaHeader => "header of a meta's page",
            Self::Meta => "meta",
        }
    }
}

/// A page of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreePage {
    pub(crate) id: usize,
    pub(crate) is_leaf: bool,
    pub(crate) count: usize,
}

/// A number inside a record, as protobuf writes it: in as many bytes as it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Varint {
    pub(crate) at: usize,
    pub(crate) size: usize,
}

/// A sound file, taken apart.
#[derive(Debug)]
pub(crate) struct Anatomy {
    pub(crate) page_size: usize,
    /// Bytes of all pages: where the digest begins, if there is one.
    pub(crate) image: usize,
    /// Pages of trees, in the order of their numbers.
    pub(crate) pages: Vec<TreePage>,
    /// Lengths of keys and values inside records.
    pub(crate) lengths: Vec<Varint>,
    /// Revisions, versions and leases inside records.
    pub(crate) numbers: Vec<Varint>,
    places: Vec<Place>,
}

const HEADER: usize = 16;
const ELEMENT: usize = 16;
const META_END: usize = 80;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const FREELIST: u16 = 0x10;

/// Numbers of a file, read where they stand.
struct Reader<'f>(&'f [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.bytes(at)?)).ok()
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.bytes(at).map(u64::from_le_bytes)
    }

    fn page(&self, at: usize) -> Option<usize> {
        usize::try_from(self.u64(at)?).ok()
    }
}

impl Anatomy {
    /// Takes a file apart; `None` if it is not as the format has it.
    pub(crate) fn of(file: &[u8]) -> Option<Self> {
        let reader = Reader(file);
        let page_size = reader.u32(24)?;
        let meta_at = |number: usize| number * page_size + HEADER;
        // The newer meta holds. A snapshot's are both sound.
        let newer = usize::from(reader.u64(meta_at(1) + 48)? > reader.u64(meta_at(0) + 48)?);
        let meta = meta_at(newer);
        let root = reader.page(meta + 16)?;
        let freelist = reader.u64(meta + 32)?;
        let image = reader.page(meta + 40)?.checked_mul(page_size)?;
        if image > file.len() {
            return None;
        }
        let mut places = vec![Place::FreePage; image];
        places.resize(file.len(), Place::Digest);
        let mut anatomy =
            Self { page_size, image, pages: Vec::new(), lengths: Vec::new(), numbers: Vec::new(), places };
        for number in 0..2 {
            let at = number * page_size;
            anatomy.mark(at, at + page_size, Place::MetaPadding)?;
            anatomy.mark(at, at + 10, Place::MetaHeader)?;
            anatomy.mark(at + HEADER, at + META_END, Place::Meta)?;
        }
        if freelist != u64::MAX {
            anatomy.freelist(&reader, usize::try_from(freelist).ok()?)?;
        }
        anatomy.page(&reader, root, None)?;
        anatomy.pages.sort_by_key(|page| page.id);
        Some(anatomy)
    }

    /// What a byte is for; behind the end of the file, nothing.
    pub(crate) fn place(&self, at: usize) -> Option<Place> {
        self.places.get(at).copied()
    }

    fn mark(&mut self, from: usize, to: usize, place: Place) -> Option<()> {
        self.places.get_mut(from..to)?.fill(place);
        Some(())
    }

    fn freelist(&mut self, reader: &Reader<'_>, id: usize) -> Option<()> {
        let at = id.checked_mul(self.page_size)?;
        let pages = reader.u32(at + 12)? + 1;
        self.mark(at, at + pages * self.page_size, Place::Slack)?;
        let count = match (reader.u16(at + 8)?, reader.u16(at + 10)?) {
            // The number of ids stands in the first of them.
            (FREELIST, u16::MAX) => reader.page(at + HEADER)? + 1,
            (FREELIST, count) => usize::from(count),
            _ => return None,
        };
        self.mark(at, at + HEADER + 8 * count, Place::Freelist)
    }

    fn page(&mut self, reader: &Reader<'_>, id: usize, bucket: Option<&[u8]>) -> Option<()> {
        let at = id.checked_mul(self.page_size)?;
        let pages = reader.u32(at + 12)? + 1;
        self.mark(at, at + pages * self.page_size, Place::Slack)?;
        self.mark(at, at + HEADER, Place::PageHeader)?;
        let (flags, count) = (reader.u16(at + 8)?, usize::from(reader.u16(at + 10)?));
        self.mark(at + HEADER, at + HEADER + ELEMENT * count, Place::Element)?;
        self.pages.push(TreePage { id, is_leaf: flags == LEAF, count });
        match flags {
            LEAF => self.leaf(reader, at, count, bucket),
            BRANCH => (0..count).try_for_each(|index| {
                let element = at + HEADER + ELEMENT * index;
                let key = element + reader.u32(element)?;
                self.mark(key, key + reader.u32(element + 4)?, Place::Separator)?;
                self.page(reader, reader.page(element + 8)?, bucket)
            }),
            _ => None,
        }
    }

    /// The elements of a leaf at `at`: a page, or what a bucket holds in its place.
    fn leaf(&mut self, reader: &Reader<'_>, at: usize, count: usize, bucket: Option<&[u8]>) -> Option<()> {
        (0..count).try_for_each(|index| {
            let element = at + HEADER + ELEMENT * index;
            let key = element + reader.u32(element + 4)?;
            let value = key + reader.u32(element + 8)?;
            let end = value + reader.u32(element + 12)?;
            let name = reader.0.get(key..value)?;
            if reader.u32(element)? & 1 == 1 {
                self.mark(key, value + 8, Place::Bucket)?;
                self.mark(value + 8, value + 16, Place::Sequence)?;
                return match reader.page(value)? {
                    0 => self.inline(reader, value + 16, name),
                    root => self.page(reader, root, Some(name)),
                };
            }
            if bucket == Some(b"key") {
                self.mark(key, value, Place::Revision)?;
                self.record(reader.0.get(value..end)?, value)
            } else {
                self.mark(key, end, Place::Entry)
            }
        })
    }

    fn inline(&mut self, reader: &Reader<'_>, at: usize, bucket: &[u8]) -> Option<()> {
        let count = usize::from(reader.u16(at + 10)?);
        self.mark(at, at + HEADER, Place::InlinePadding)?;
        self.mark(at + 8, at + 12, Place::PageHeader)?;
        self.mark(at + HEADER, at + HEADER + ELEMENT * count, Place::Element)?;
        self.leaf(reader, at, count, Some(bucket))
    }

    /// The fields of a record's `KeyValue`.
    fn record(&mut self, message: &[u8], start: usize) -> Option<()> {
        self.mark(start, start + message.len(), Place::RecordField)?;
        let mut at = 0;
        while at < message.len() {
            let tag = varint(message, &mut at)?;
            let begin = at;
            let number = varint(message, &mut at)?;
            let stored = Varint { at: start + begin, size: at - begin };
            if tag & 7 != 2 {
                self.numbers.push(stored);
                continue;
            }
            self.lengths.push(stored);
            let number = usize::try_from(number).ok()?;
            let place = if tag >> 3 == 1 { Place::RecordKey } else { Place::Value };
            self.mark(start + at, start + at + number, place)?;
            at += number;
        }
        Some(())
    }
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
