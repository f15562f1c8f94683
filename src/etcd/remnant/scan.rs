//! Records where no page is left: searched for by what each of them has.

use memchr::{memchr_iter, memmem};

use super::message::Beginning;
use super::{EntryKind, Form, Spot, Sure};
use crate::bolt::{FileOffset, PageSize};
use crate::codec::fixed::i64_be;
use crate::codec::protobuf::varint;
use crate::etcd::membership::Member;
use crate::etcd::revision::{Revision, RevisionKey};

/// In the middle of a revision key: the separator, and the upper half of a sub
/// revision, which no transaction fills.
const ANCHOR: &[u8] = b"_\0\0\0\0";
/// Of a member's JSON.
const PEER_URLS: &[u8] = b"\"peerURLs\":";
/// What all hashes of passwords begin with.
const BCRYPT: &[u8] = b"$2a$";

/// A record's beginning.
struct Start<'a> {
    at: usize,
    message: usize,
    beginning: Beginning<'a>,
}

/// Searches `bytes`, which begin at `offset` of the file, for records, members and
/// users. Hands over what is found, and then what is left, each in order.
///
/// Each byte becomes part of one thing at most, so the cost follows the bytes.
pub fn scan<'a>(
    bytes: &'a [u8],
    offset: FileOffset,
    page_size: PageSize,
    mut found: impl FnMut(Spot),
    mut rest: impl FnMut(FileOffset, &'a [u8]),
) {
    let area = Area { bytes, offset, page_size };
    let used = area.search(&[Area::messages, Area::members, Area::users], &mut found);
    for (start, end) in area.between(&used) {
        if let Some(left) = bytes.get(start..end) {
            rest(area.file_offset(start), left);
        }
    }
}

/// As [`scan`], but only for what has its key: what could be stored again as it is.
pub fn scan_keyed(bytes: &[u8], offset: FileOffset, page_size: PageSize, mut found: impl FnMut(Spot)) {
    let area = Area { bytes, offset, page_size };
    area.search(&[Area::members, Area::users], &mut |spot: Spot| {
        if spot.key_length > 0 {
            found(spot);
        }
    });
}

/// Runs of bytes that are part of something.
type Used = Vec<(usize, usize)>;

/// A search of a stretch, for one kind of thing.
type Search<'a> = fn(&Area<'a>, usize, usize, &mut Used, &mut dyn FnMut(Spot));

struct Area<'a> {
    bytes: &'a [u8],
    offset: FileOffset,
    page_size: PageSize,
}

impl<'a> Area<'a> {
    /// Searches for records, and what is left for other things, one kind after the other.
    fn search(&self, others: &[Search<'a>], found: &mut dyn FnMut(Spot)) -> Used {
        let mut used = Vec::new();
        self.records(&mut used, found);
        for search in others {
            for (start, end) in self.between(&used) {
                search(self, start, end, &mut used, found);
            }
            used.sort_unstable();
        }
        used
    }

    fn file_offset(&self, at: usize) -> FileOffset {
        FileOffset(self.offset.0.saturating_add(at as u64))
    }

    /// The last place up to `end` where a page begins, if it is behind `start`.
    fn page_start(&self, start: usize, end: usize) -> Option<usize> {
        let size = self.page_size.bytes();
        let end_offset = self.file_offset(end).0;
        let before = end_offset.checked_rem(size)?;
        let at = end.checked_sub(usize::try_from(before).ok()?)?;
        (at > start).then_some(at)
    }

    fn between(&self, used: &Used) -> Vec<(usize, usize)> {
        let mut gaps = Vec::new();
        let mut position = 0;
        for (start, end) in used {
            if *start > position {
                gaps.push((position, *start));
            }
            position = position.max(*end);
        }
        if self.bytes.len() > position {
            gaps.push((position, self.bytes.len()));
        }
        gaps
    }

    fn spot(&self, at: usize, key: usize, end: usize, missing: u32, form: Form, sure: Sure) -> Option<Spot> {
        Some(Spot {
            offset: self.file_offset(at),
            length: u32::try_from(end.checked_sub(at)?).ok()?,
            key_length: u32::try_from(key.checked_sub(at)?).ok()?,
            missing,
            form,
            sure,
        })
    }

    /// Records with their revision keys.
    fn records(&self, used: &mut Used, found: &mut dyn FnMut(Spot)) {
        let anchors = memmem::find_iter(self.bytes, ANCHOR);
        let mut starts = anchors.filter_map(|anchor| self.start(anchor)).peekable();
        let mut position = 0;
        while let Some(start) = starts.next() {
            // A record inside the key of the one before is none.
            if start.at < position {
                continue;
            }
            let limit = starts.peek().map_or(self.bytes.len(), |next| next.at);
            let declared = start.message.saturating_add(start.beginning.length);
            let value = start.message.saturating_add(start.beginning.before_value);
            let mut missing = start.beginning.missing;
            let mut end = declared;
            // What ends where the next record begins ends there, whatever its value looks like.
            let follows = missing == 0 && declared > limit && self.is_start(declared);
            if follows {
                position = declared;
            } else if missing == 0 && declared > limit && limit >= value {
                // Another record stands where the value should be: an older page's
                // tail was overwritten, at the latest where that record's page begins.
                end = self.page_start(value, limit).unwrap_or(limit);
                missing = u32::try_from(declared.saturating_sub(end)).unwrap_or(u32::MAX);
            } else if missing > 0 && limit < self.bytes.len() && limit >= value {
                end = self.page_start(value, limit).unwrap_or(limit);
                let more = declared.saturating_sub(end);
                missing = missing.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            }
            // Nothing vouches for what is behind the beginning of the next page but
            // another record right behind the end.
            let verified = follows
                || end == limit && limit < self.bytes.len()
                || self.page_start(start.at, end.saturating_sub(1)).is_none();
            let sure = if missing == 0 && verified { Sure::Scan } else { Sure::Fragment };
            if let Some(spot) = self.spot(start.at, start.message, end, missing, Form::Record, sure) {
                found(spot);
                used.push((start.at, end));
                position = position.max(value).max(start.message);
            }
        }
    }

    /// Whether a record begins at `at`.
    fn is_start(&self, at: usize) -> bool {
        at.checked_add(8).and_then(|anchor| self.start(anchor)).is_some()
    }

    /// The record around the anchor at `anchor`, if there is one.
    fn start(&self, anchor: usize) -> Option<Start<'a>> {
        let at = anchor.checked_sub(8)?;
        let main = i64_be(self.bytes, at).filter(|main| *main > 0)?;
        let sub = i64_be(self.bytes, anchor.checked_add(1)?)?;
        let behind = anchor.checked_add(9)?;
        let tombstone = self.bytes.get(behind) == Some(&b't');
        let message = behind.checked_add(usize::from(tombstone))?;
        let beginning = Beginning::parse(self.bytes.get(message..)?)?;
        let key = RevisionKey::parse(self.bytes.get(at..message)?).ok()?;
        let fits = key.revision == Revision { main, sub } && beginning.fits(key.revision, tombstone);
        fits.then_some(Start { at, message, beginning })
    }

    /// Messages whose revision keys are gone.
    fn messages(&self, start: usize, end: usize, used: &mut Used, found: &mut dyn FnMut(Spot)) {
        let Some(area) = self.bytes.get(start..end) else { return };
        let mut position = 0;
        for at in memchr_iter(b'\n', area) {
            if at < position || !looks_like_message(area, at) {
                continue;
            }
            let Some(message) = area.get(at..).and_then(Beginning::parse) else { continue };
            if !message.is_consistent() {
                continue;
            }
            let (from, to) =
                (start.saturating_add(at), start.saturating_add(at).saturating_add(message.length));
            if let Some(spot) = self.spot(from, from, to, message.missing, Form::Message, Sure::Fragment) {
                found(spot);
                used.push((from, to));
                position = at.saturating_add(message.length);
            }
        }
    }

    /// Members, each between the braces around its URLs.
    fn members(&self, start: usize, end: usize, used: &mut Used, found: &mut dyn FnMut(Spot)) {
        const FRONT: &[u8] = b"{\"id\":";
        /// Digits of an id, and a comma.
        const ID: usize = 21;
        const LONGEST: usize = 1 << 16;
        let Some(area) = self.bytes.get(start..end) else { return };
        let mut position = 0;
        let mut all = memmem::find_iter(area, PEER_URLS).peekable();
        while let Some(urls) = all.next() {
            let earliest = urls.saturating_sub(FRONT.len().saturating_add(ID)).max(position);
            let Some(front) = area.get(earliest..urls).and_then(|before| memmem::rfind(before, FRONT)) else {
                continue;
            };
            let at = earliest.saturating_add(front);
            // A member has its URLs once, so that no byte is looked at twice.
            let limit = all.peek().map_or(area.len(), |next| *next).min(at.saturating_add(LONGEST));
            let json = area.get(at..limit).unwrap_or_default();
            let Some(length) = json_length(json) else { continue };
            let Some(member) = json.get(..length).and_then(|json| Member::parse(json).ok()) else { continue };
            // The key stands before it, if that is left.
            let id = member.id.to_string();
            let key = area.get(..at).filter(|before| before.ends_with(id.as_bytes())).map_or(0, |_| id.len());
            let from = start.saturating_add(at);
            let to = from.saturating_add(length);
            let (first, form) = (from.saturating_sub(key), Form::Entry(EntryKind::Member));
            let sure = if key > 0 { Sure::Scan } else { Sure::Fragment };
            if let Some(spot) = self.spot(first, from, to, 0, form, sure) {
                found(spot);
                used.push((first, to));
                position = at.saturating_add(length);
            }
        }
    }

    /// Users with passwords: name and hash, which stand side by side.
    fn users(&self, start: usize, end: usize, used: &mut Used, found: &mut dyn FnMut(Spot)) {
        const LONGEST_NAME: usize = 127;
        const HASH: usize = 60;
        let Some(area) = self.bytes.get(start..end) else { return };
        let mut position = 0;
        for hash in memmem::find_iter(area, BCRYPT) {
            let Some(tag) = hash.checked_sub(2).filter(|tag| *tag >= position) else { continue };
            if area.get(tag..hash) != Some(b"\x12\x3c") || area.len() < hash.saturating_add(HASH) {
                continue;
            }
            let named = (1..=LONGEST_NAME).find_map(|length| {
                let at = tag.checked_sub(length)?.checked_sub(2).filter(|at| *at >= position)?;
                let head = area.get(at..at.checked_add(2)?)?;
                (head == [0x0a, u8::try_from(length).ok()?]).then_some((at, length))
            });
            let Some((at, length)) = named else { continue };
            let name = at.checked_add(2).and_then(|from| area.get(from..from.checked_add(length)?));
            let key = area.get(..at).filter(|before| name.is_some_and(|name| before.ends_with(name)));
            let key = key.map_or(0, |_| length);
            let value = at.saturating_add(roles_end(area.get(at..).unwrap_or_default()));
            let (from, to) = (start.saturating_add(at), start.saturating_add(value));
            let (first, form) = (from.saturating_sub(key), Form::Entry(EntryKind::User));
            let sure = if key > 0 { Sure::Scan } else { Sure::Fragment };
            if let Some(spot) = self.spot(first, from, to, 0, form, sure) {
                found(spot);
                used.push((first, to));
                position = value;
            }
        }
    }
}

/// Whether a key and the tag behind it stand at `at`: tells most of what is none by
/// two bytes.
fn looks_like_message(area: &[u8], at: usize) -> bool {
    let Some(mut rest) = at.checked_add(1).and_then(|at| area.get(at..)) else { return false };
    let Some(length) = varint(&mut rest).and_then(|length| usize::try_from(length).ok()) else {
        return false;
    };
    length > 0 && rest.get(length) == Some(&0x10)
}

/// Bytes of the JSON object at the front of `bytes`, by its braces.
fn json_length(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_text, mut escaped) = (0u32, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => depth = depth.saturating_add(1),
            b'}' if !in_text => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return at.checked_add(1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where a user's message ends: behind its name, hash, roles and options.
fn roles_end(message: &[u8]) -> usize {
    let mut end = 0;
    let mut last = 0;
    for field in crate::codec::protobuf::Fields::new(message) {
        let Ok(field) = field else { break };
        let Ok(bytes) = field.bytes() else { break };
        let follows = field.number > last || (field.number == 3 && last == 3);
        if !follows || field.number > 4 {
            break;
        }
        last = field.number;
        // Tags here are one byte; the length is in front of the bytes.
        let length_bytes = if bytes.len() < 128 { 1 } else { 2 };
        end = field.offset.saturating_add(1).saturating_add(length_bytes).saturating_add(bytes.len());
    }
    end.min(message.len())
}
