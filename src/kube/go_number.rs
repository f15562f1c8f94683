//! Numbers in the forms that Go gives them.
//!
//! Source: Go `strconv/ftoa.go`, `encoding/json/encode.go` (`floatEncoder`), 1.25.

/// Appends a whole number.
pub(super) fn push_int(number: i64, out: &mut Vec<u8>) {
    // The least digit comes first, so from the end.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    let mut rest = number.unsigned_abs();
    for place in digits.iter_mut().rev() {
        *place = u8::try_from(rest % 10).unwrap_or_default() | b'0';
        rest /= 10;
        first = first.saturating_sub(1);
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// Appends a number as `encoding/json` does: from 1e-6 up to 1e21 without an
/// exponent. JSON has no form for what is not finite, and Go refuses it: `null`.
pub(super) fn push_json(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    match Decimal::of(size) {
        None => out.extend_from_slice(b"null"),
        Some(decimal) => {
            push_sign(number, out);
            match size == 0.0 || (1e-6..1e21).contains(&size) {
                true => decimal.push_positional(out),
                false => decimal.push_scientific(1, out),
            }
        }
    }
}

/// Appends a number as `strconv.FormatFloat(number, 'g', -1, 64)` does: from
/// 1e-4 up to 1e6 without an exponent. What is not finite is as in YAML.
pub(super) fn push_general(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    match Decimal::of(size) {
        None if number.is_nan() => out.extend_from_slice(b".nan"),
        None => {
            push_sign(number, out);
            out.extend_from_slice(b".inf");
        }
        Some(decimal) => {
            push_sign(number, out);
            match (-3..=6).contains(&decimal.point) {
                true => decimal.push_positional(out),
                false => decimal.push_scientific(2, out),
            }
        }
    }
}

fn push_sign(number: f64, out: &mut Vec<u8>) {
    if number.is_sign_negative() {
        out.push(b'-');
    }
}

fn push_zeros(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len().saturating_add(count), b'0');
}

/// The fewest digits that mean a number: `0.DIGITS` times ten to the `point`.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

impl Decimal {
    /// Of a number that is finite, without its sign.
    fn of(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        if number == 0.0 {
            return Some(Self { digits: vec![b'0'], point: 1 });
        }
        // `D.DDDe-N`, with the fewest digits, here as in Go. Of two such numbers
        // equally near Go takes the even one, and so does rounding to that length.
        let mut text = format!("{number:e}");
        let places = text.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
        let rounded = format!("{number:.*e}", places.saturating_sub(1));
        if rounded.parse() == Ok(number) {
            text = rounded;
        }
        let (digits, exponent) = text.split_once('e')?;
        let exponent: i32 = exponent.parse().ok()?;
        let digits = digits.bytes().filter(u8::is_ascii_digit).collect();
        Some(Self { digits, point: exponent.saturating_add(1) })
    }

    fn push_positional(&self, out: &mut Vec<u8>) {
        let Ok(before) = usize::try_from(self.point) else {
            out.extend_from_slice(b"0.");
            push_zeros(usize::try_from(self.point.unsigned_abs()).unwrap_or_default(), out);
            return out.extend_from_slice(&self.digits);
        };
        match self.digits.split_at_checked(before) {
            None => {
                out.extend_from_slice(&self.digits);
                push_zeros(before.saturating_sub(self.digits.len()), out);
            }
            Some((whole, part)) => {
                out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
                if !part.is_empty() {
                    out.push(b'.');
                    out.extend_from_slice(part);
                }
            }
        }
    }

    /// With that many digits of the exponent at least.
    fn push_scientific(&self, places: usize, out: &mut Vec<u8>) {
        if let Some((first, more)) = self.digits.split_first() {
            out.push(*first);
            if !more.is_empty() {
                out.push(b'.');
                out.extend_from_slice(more);
            }
        }
        let exponent = self.point.saturating_sub(1);
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        let mut digits = Vec::new();
        push_int(i64::from(exponent.unsigned_abs()), &mut digits);
        push_zeros(places.saturating_sub(digits.len()), out);
        out.extend_from_slice(&digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn whole_numbers_are_written_to_their_ends() {
        for number in [0, 1, -1, 9, 10, -10, 1234567890, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(text(|out| push_int(number, out)), number.to_string());
        }
    }

    /// Asked of Go 1.26: `json.Marshal(x)` and `strconv.FormatFloat(x, 'g', -1, 64)`.
    #[test]
    fn other_numbers_are_as_go_writes_them() {
        let exact = |text: &str| text.parse::<f64>().expect("a number");
        for (number, json, general) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (5.0, "5", "5"),
            (-1.5, "-1.5", "-1.5"),
            (100.0, "100", "100"),
            (123456.5, "123456.5", "123456.5"),
            (999999.0, "999999", "999999"),
            (1000000.0, "1000000", "1e+06"),
            (1234567.5, "1234567.5", "1.2345675e+06"),
            (1e20, "100000000000000000000", "1e+20"),
            (1e21, "1e+21", "1e+21"),
            (-1.5e30, "-1.5e+30", "-1.5e+30"),
            (0.1, "0.1", "0.1"),
            (0.00012, "0.00012", "0.00012"),
            (0.000012, "0.000012", "1.2e-05"),
            (0.000001, "0.000001", "1e-06"),
            (0.0000009, "9e-7", "9e-07"),
            (1.25e-10, "1.25e-10", "1.25e-10"),
            (f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e+308"),
            (5e-324, "5e-324", "5e-324"),
            // Exactly between two numbers of as many digits.
            (exact("26620.2457275390625"), "26620.245727539062", "26620.245727539062"),
            (exact("251512.995361328125"), "251512.99536132812", "251512.99536132812"),
            (exact("9007199254740993"), "9007199254740992", "9.007199254740992e+15"),
            (f64::NAN, "null", ".nan"),
            (f64::INFINITY, "null", ".inf"),
            (f64::NEG_INFINITY, "null", "-.inf"),
        ] {
            assert_eq!(text(|out| push_json(number, out)), json);
            assert_eq!(text(|out| push_general(number, out)), general);
        }
    }
}
