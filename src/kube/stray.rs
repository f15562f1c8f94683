//! Values of Kubernetes whose keys are gone, searched for in bytes without a form.

use memchr::memmem;

use crate::codec::protobuf::{Fields, take_bytes, varint};

/// A value that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stray {
    /// Where it begins.
    pub start: usize,
    /// Bytes that are there.
    pub length: usize,
    /// Bytes that it has besides, by its own word; 0 if it is whole or does not say.
    pub missing: u32,
    /// Whether its end was found.
    pub is_whole: bool,
}

/// The magic number of protobuf values, and the tag that always follows it.
const PROTOBUF: &[u8] = b"k8s\0\x0a";
/// How servers begin JSON.
const JSON: [&[u8]; 2] = [b"{\"apiVersion\":\"", b"{\"kind\":\""];
/// No value of etcd is longer, unless it was told so; ten times that is read.
const LONGEST: usize = 15 << 20;

/// Finds values in `bytes`, in order. Encrypted ones are not found: without its key
/// nothing opens such a value, and nothing says where it ends.
pub fn strays(bytes: &[u8]) -> Vec<Stray> {
    let mut found = Vec::new();
    let mut position = 0;
    let mut protobuf = memmem::find_iter(bytes, PROTOBUF).peekable();
    let mut json: Vec<_> = JSON.iter().map(|start| memmem::find_iter(bytes, *start).peekable()).collect();
    loop {
        while protobuf.next_if(|at| *at < position).is_some() {}
        for texts in &mut json {
            while texts.next_if(|at| *at < position).is_some() {}
        }
        let text = json.iter_mut().filter_map(|texts| texts.peek().copied()).min();
        let stray = match (protobuf.peek().copied(), text) {
            (None, None) => return found,
            (Some(at), text) if text.is_none_or(|text| at < text) => of_protobuf(bytes, at),
            (_, text) => of_json(bytes, text.unwrap_or(position)),
        };
        position = match stray {
            Ok(stray) => {
                found.push(stray);
                stray.start.saturating_add(stray.length)
            }
            Err(at) => at.saturating_add(1),
        };
    }
}

/// `Unknown` {1 type, 2 object, 3 encoding, 4 content type}, all of which are written
/// by servers, empty or not. `Err` is where there is none.
fn of_protobuf(bytes: &[u8], at: usize) -> Result<Stray, usize> {
    const MAGIC: usize = 4;
    const OBJECT: u8 = 0x12;
    let read = || {
        let mut rest = bytes.get(at.checked_add(MAGIC)?..)?;
        let kind = take_bytes(&mut rest, 0x0a)?;
        let is_type = Fields::new(kind).all(|field| {
            field.is_ok_and(|field| matches!(field.number, 1 | 2) && field.bytes().is_ok_and(is_name))
        });
        let (tag, mut behind) = rest.split_first()?;
        let length = usize::try_from(varint(&mut behind)?).ok()?;
        if !is_type || kind.is_empty() || *tag != OBJECT || length > LONGEST {
            return None;
        }
        let there = length.min(behind.len());
        let (_, mut rest) = behind.split_at_checked(there)?;
        let missing = u32::try_from(length.saturating_sub(there)).ok()?;
        for tag in [0x1a, 0x22] {
            let mut tried = rest;
            if take_bytes(&mut tried, tag).is_some() {
                rest = tried;
            }
        }
        let end = bytes.len().saturating_sub(rest.len());
        Some(Stray { start: at, length: end.saturating_sub(at), missing, is_whole: missing == 0 })
    };
    read().ok_or(at)
}

fn is_name(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

/// An object in JSON, by its braces; to the end of the bytes if they do not close.
fn of_json(bytes: &[u8], at: usize) -> Result<Stray, usize> {
    let text = bytes.get(at..).unwrap_or_default();
    let text = text.get(..LONGEST).unwrap_or(text);
    let (mut depth, mut in_text, mut escaped) = (0u32, false, false);
    for (index, byte) in text.iter().enumerate() {
        let stop = |length: usize, is_whole| Ok(Stray { start: at, length, missing: 0, is_whole });
        match byte {
            // Servers write no control characters: the text ends here, cut.
            0..=9 | 0x0b..=0x1f => return stop(index, false),
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => depth = depth.saturating_add(1),
            b'}' if !in_text => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return stop(index.saturating_add(1), true);
                }
            }
            _ => {}
        }
    }
    Ok(Stray { start: at, length: text.len(), missing: 0, is_whole: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::Writer;

    fn value(object: &[u8]) -> Vec<u8> {
        let kind = Writer::new().bytes(1, b"v1").bytes(2, b"Secret").finish();
        let unknown = Writer::new().bytes(1, &kind).bytes(2, object).bytes(3, b"").bytes(4, b"").finish();
        [&b"k8s\0"[..], &unknown].concat()
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let protobuf = value(&[7; 300]);
        let json = br#"{"kind":"Widget","apiVersion":"e.com/v1","t":"}\"{"}"#;
        let bytes = [&b"k8s\0\x0a\xff junk "[..], &protobuf, b"\0\0", json, b"{", &protobuf].concat();
        let found: Vec<_> = strays(&bytes).iter().map(|at| &bytes[at.start..at.start + at.length]).collect();
        assert_eq!(found, [&protobuf[..], json, &protobuf]);
        assert!(strays(&bytes).iter().all(|stray| stray.is_whole && stray.missing == 0));
    }

    #[test]
    fn of_a_value_that_is_cut_it_is_known_how_much_is_missing() {
        let whole = value(&[7; 300]);
        let cut = &whole[..100];
        let [stray] = strays(cut)[..] else { panic!("one value") };
        assert_eq!((stray.length, stray.is_whole), (100, false));
        // The two empty fields behind the object are not counted.
        assert_eq!(100 + stray.missing as usize, whole.len() - 4);
        let [stray] = strays(b"..{\"kind\":\"A\",\"x\":{\0\0")[..] else { panic!("one value") };
        assert_eq!((stray.start, stray.length, stray.is_whole), (2, 17, false));
    }
}
