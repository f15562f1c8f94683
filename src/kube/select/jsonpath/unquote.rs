//! Quoted text in templates, with the escapes of Go.
//!
//! Source: Go `strconv.UnquoteChar`, and `UnquoteExtend` in kubernetes
//! `client-go/util/jsonpath/parser.go`, 1.35.

/// What stands between the quotes that `text` begins and ends with; `None` if
/// they differ or something inside is no escape. `\x` and `\377` give bytes, so
/// the result need not be UTF-8.
pub(super) fn unquote(text: &str) -> Option<Vec<u8>> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut bytes = Vec::new();
    let mut rest = inside.chars();
    while let Some(character) = rest.next() {
        if character == quote {
            return None;
        }
        if character != '\\' {
            push(&mut bytes, character);
            continue;
        }
        match rest.next()? {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            same if same == quote => push(&mut bytes, quote),
            'x' => bytes.push(u8::try_from(digits(&mut rest, 16, 2, 0)?).ok()?),
            'u' => push(&mut bytes, char::from_u32(digits(&mut rest, 16, 4, 0)?)?),
            'U' => push(&mut bytes, char::from_u32(digits(&mut rest, 16, 8, 0)?)?),
            first @ '0'..='7' => {
                bytes.push(u8::try_from(digits(&mut rest, 8, 2, first.to_digit(8)?)?).ok()?);
            }
            _ => return None,
        }
    }
    Some(bytes)
}

fn push(bytes: &mut Vec<u8>, character: char) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The number in the next `count` digits, behind those that gave `value`.
fn digits(rest: &mut std::str::Chars<'_>, radix: u32, count: usize, value: u32) -> Option<u32> {
    (0..count)
        .try_fold(value, |value, _| value.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?))
}
