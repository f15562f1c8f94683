//! Which plain text a reader would take for something else than text.
//!
//! Kinder than YAML 1.1 in places, stricter in others: `NaN`, `=` and `<<` are
//! text, `12:30` is quoted for the sake of other readers.
//!
//! Source: `go.yaml.in/yaml/v2` `resolve.go` and `encode.go` (`isBase60Float`), 2.4.3;
//! Go `strconv` (`ParseInt`, `ParseFloat`) and `time` (`Parse`), 1.25.

use std::borrow::Cow;

/// Whether `text`, written plain, would be null, a boolean, a number or a time.
pub(super) fn is_other(text: &str) -> bool {
    match text.as_bytes() {
        [] => true,
        [b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~', ..] => is_word(text),
        [b'.', ..] => is_special_float(text) || is_pointed(text),
        [b'0'..=b'9' | b'+' | b'-', ..] => is_numeric(text),
        _ => false,
    }
}

fn is_word(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "true"
            | "True"
            | "TRUE"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "false"
            | "False"
            | "FALSE"
            | "off"
            | "Off"
            | "OFF"
            | "~"
            | "null"
            | "Null"
            | "NULL"
    )
}

fn is_special_float(text: &str) -> bool {
    matches!(text.strip_prefix(['+', '-']).unwrap_or(text), ".inf" | ".Inf" | ".INF")
        || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// Of text that begins with a digit or a sign. What ends its first digits says
/// which kind it may be: most is none, as names and quantities.
fn is_numeric(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.bytes().find(|byte| !is_digit_or_underscore(byte)) {
        None | Some(b'e' | b'E' | b'x' | b'X' | b'o' | b'O' | b'b' | b'B') => is_number(text),
        Some(b'.') => is_special_float(text) || is_number(text),
        Some(b':') => is_base_60(text),
        Some(b'-') => is_timestamp(text),
        Some(_) => false,
    }
}

/// A float that begins with its point. Go allows underscores between digits here.
fn is_pointed(text: &str) -> bool {
    let mut before = b'.';
    for byte in text.bytes().skip(1).chain([b'.']) {
        let digit_misses = |byte: u8| !byte.is_ascii_digit();
        if byte == b'_' && digit_misses(before) || before == b'_' && digit_misses(byte) {
            return false;
        }
        before = byte;
    }
    is_float(&without_underscores(text))
}

fn without_underscores(text: &str) -> Cow<'_, str> {
    if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) }
}

fn is_number(text: &str) -> bool {
    let text = &*without_underscores(text);
    is_int(text) || is_float(text) || text.strip_prefix("0b").is_some_and(is_signed_binary)
}

/// What `ParseInt` or `ParseUint` with base 0 takes: decimal, `0x`, `0o`, `0b`, or
/// octal after a zero, within 64 bits.
fn is_int(text: &str) -> bool {
    let (limit, unsigned) = match text.as_bytes() {
        [b'-', unsigned @ ..] => (i64::MIN.unsigned_abs(), unsigned),
        [b'+', unsigned @ ..] => (i64::MAX.unsigned_abs(), unsigned),
        unsigned => (u64::MAX, unsigned),
    };
    let (base, digits) = match unsigned {
        [] => return false,
        [b'0', b'x' | b'X', digits @ ..] if !digits.is_empty() => (16, digits),
        [b'0', b'o' | b'O', digits @ ..] if !digits.is_empty() => (8, digits),
        [b'0', b'b' | b'B', digits @ ..] if !digits.is_empty() => (2, digits),
        [b'0', digits @ ..] => (8, digits),
        digits => (10, digits),
    };
    fits(digits, base, limit)
}

/// `ParseInt` of what follows `0b` takes a sign there.
fn is_signed_binary(text: &str) -> bool {
    match text.as_bytes() {
        [b'-', digits @ ..] if !digits.is_empty() => fits(digits, 2, i64::MIN.unsigned_abs()),
        [b'+', digits @ ..] if !digits.is_empty() => fits(digits, 2, i64::MAX.unsigned_abs()),
        _ => false,
    }
}

fn fits(digits: &[u8], base: u32, limit: u64) -> bool {
    let number = digits.iter().try_fold(0u64, |number, digit| {
        let digit = char::from(*digit).to_digit(base)?;
        number.checked_mul(u64::from(base))?.checked_add(u64::from(digit))
    });
    number.is_some_and(|number| number <= limit)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, and not beyond the range
/// of 64-bit floats.
fn is_float(text: &str) -> bool {
    // Of what Rust reads as a float, all that begins with a digit or a point.
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.parse().is_ok_and(|number: f64| number.is_finite())
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: hours, minutes and seconds were
/// numbers in YAML 1.1.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':').map(str::as_bytes);
    let head =
        matches!(parts.next(), Some([b'0'..=b'9', more @ ..]) if more.iter().all(is_digit_or_underscore));
    let mut parts = parts.peekable();
    head && parts.peek().is_some()
        && parts.all(|part| matches!(part, [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
        && fraction.bytes().all(|byte| is_digit_or_underscore(&byte))
}

fn is_digit_or_underscore(byte: &u8) -> bool {
    byte.is_ascii_digit() || *byte == b'_'
}

/// Whether `time.Parse` takes it with one of the layouts `2006-1-2`,
/// `2006-1-2 15:4:5.999999999` or `2006-1-2T15:4:5.999999999Z07:00`, that with a
/// small `t` as well.
fn is_timestamp(text: &str) -> bool {
    match after_date(text.as_bytes()) {
        Some([]) => true,
        Some([b'T' | b't', time @ ..]) => after_clock(time).is_some_and(is_zone),
        Some(time @ [b' ', ..]) => after_clock(time.trim_ascii_start()).is_some_and(<[u8]>::is_empty),
        _ => false,
    }
}

/// What follows year, month and day.
fn after_date(text: &[u8]) -> Option<&[u8]> {
    let (year, mut text) = text.split_at_checked(4)?;
    let year = year.iter().try_fold(0u32, |year, digit| {
        Some(year.saturating_mul(10).saturating_add(char::from(*digit).to_digit(10)?))
    })?;
    let month = take(&mut text, b"-").and_then(|()| one_or_two(&mut text))?;
    let day = take(&mut text, b"-").and_then(|()| one_or_two(&mut text))?;
    (day >= 1 && day <= days_in(month, year)?).then_some(text)
}

fn days_in(month: u32, year: u32) -> Option<u32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

/// What follows hours, minutes, seconds and a fraction, which may be left out.
fn after_clock(mut text: &[u8]) -> Option<&[u8]> {
    let hour = one_or_two(&mut text)?;
    let minute = take(&mut text, b":").and_then(|()| one_or_two(&mut text))?;
    let second = take(&mut text, b":").and_then(|()| one_or_two(&mut text))?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    match text {
        [b'.' | b',', b'0'..=b'9', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction.get(digits..)
        }
        _ => Some(text),
    }
}

/// `Z`, or `+hh:mm`. Offsets of a full day and a full hour are let pass.
fn is_zone(text: &[u8]) -> bool {
    match text {
        b"Z" => true,
        [b'+' | b'-', hour @ .., b':', _, _] if hour.len() == 2 => {
            let two = |digits: &[u8]| match digits {
                [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((*tens, *ones)),
                _ => None,
            };
            let minute = text.last_chunk::<2>().and_then(|minute| two(minute));
            two(hour).is_some_and(|hour| hour <= (b'2', b'4'))
                && minute.is_some_and(|minute| minute <= (b'6', b'0'))
        }
        _ => false,
    }
}

fn take(text: &mut &[u8], what: &[u8]) -> Option<()> {
    *text = text.strip_prefix(what)?;
    Some(())
}

/// A number of one digit, or of two if two are there.
fn one_or_two(text: &mut &[u8]) -> Option<u32> {
    let digit = |byte: &u8| char::from(*byte).to_digit(10);
    let (first, rest) = text.split_first()?;
    let first = digit(first)?;
    *text = rest;
    let Some((second, rest)) = rest.split_first().and_then(|(byte, rest)| Some((digit(byte)?, rest))) else {
        return Some(first);
    };
    *text = rest;
    Some(first.saturating_mul(10).saturating_add(second))
}
