//! Amounts as Kubernetes writes them: `100m`, `1.5Gi`, `2e3`.
//!
//! Source: kubernetes `apimachinery/pkg/api/resource/{quantity,suffix}.go`, 1.35.

use std::cmp::Ordering;

/// An amount, rounded up to a billionth as upstream does. Only for comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    negative: bool,
    /// The value is 0.DIGITS times ten to this power; 0 for zero.
    point: i64,
    /// From 0 to 9, without zeros at the ends; none for zero.
    digits: Vec<u8>,
}

const NANO: i64 = -9;
/// The most that an amount with a binary suffix can be.
const BINARY_MOST: &[u8] = b"9223372036854775807";

enum Suffix {
    /// Times ten to this power.
    Decimal(i64),
    /// Times 1024 to this power.
    Binary(u32),
}

fn suffix(text: &str) -> Option<Suffix> {
    Some(match text {
        "n" => Suffix::Decimal(-9),
        "u" => Suffix::Decimal(-6),
        "m" => Suffix::Decimal(-3),
        "" => Suffix::Decimal(0),
        "k" => Suffix::Decimal(3),
        "M" => Suffix::Decimal(6),
        "G" => Suffix::Decimal(9),
        "T" => Suffix::Decimal(12),
        "P" => Suffix::Decimal(15),
        "E" => Suffix::Decimal(18),
        "Ki" => Suffix::Binary(1),
        "Mi" => Suffix::Binary(2),
        "Gi" => Suffix::Binary(3),
        "Ti" => Suffix::Binary(4),
        "Pi" => Suffix::Binary(5),
        "Ei" => Suffix::Binary(6),
        // Upstream keeps 32 bits of any exponent, and then computes for hours.
        other => Suffix::Decimal(other.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.into()),
    })
}

impl Quantity {
    /// Reads an amount; `None` if `text` is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, rest) = split_digits(rest);
        let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), split_digits);
        let sum = |digits: &str| digits.bytes().map(|digit| digit.wrapping_sub(b'0')).collect::<Vec<_>>();
        let digits = [sum(whole.trim_start_matches('0')), sum(fraction)].concat();
        let point = to_i64(digits.len()).saturating_sub(to_i64(fraction.len()));
        let quantity = match suffix(rest)? {
            Suffix::Decimal(power) => {
                // What needs the second path upstream needs digits, too.
                let scale = power.saturating_sub(to_i64(fraction.len()));
                let digitless = whole.is_empty() && fraction.is_empty();
                if digitless && !rest.is_empty() && scale < NANO {
                    return None;
                }
                Self::new(digits, point.saturating_add(power)).rounded()
            }
            Suffix::Binary(power) => {
                let (digits, more) = times_1024(digits, power);
                Self::new(digits, point.saturating_add(more)).rounded().at_most(BINARY_MOST)
            }
        };
        Some(Self { negative: negative && !quantity.digits.is_empty(), ..quantity })
    }

    /// 0.DIGITS times ten to the power of `point`.
    fn new(mut digits: Vec<u8>, point: i64) -> Self {
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let point = if digits.is_empty() { 0 } else { point.saturating_sub(to_i64(zeros)) };
        Self { negative: false, point, digits }
    }

    /// Up to the next billionth.
    fn rounded(self) -> Self {
        let Ok(kept) = usize::try_from(self.point.saturating_sub(NANO)) else {
            // Less than that, if not zero.
            let digits = if self.digits.is_empty() { vec![] } else { vec![1] };
            return Self::new(digits, NANO.saturating_add(1));
        };
        if kept >= self.digits.len() {
            return self;
        }
        let mut digits = self.digits;
        digits.truncate(kept);
        for digit in digits.iter_mut().rev() {
            if *digit < 9 {
                *digit = digit.saturating_add(1);
                return Self::new(digits, self.point);
            }
            *digit = 0;
        }
        digits.insert(0, 1);
        Self::new(digits, self.point.saturating_add(1))
    }

    fn at_most(self, most: &[u8]) -> Self {
        let digits: Vec<u8> = most.iter().map(|digit| digit.wrapping_sub(b'0')).collect();
        let point = to_i64(digits.len());
        self.min(Self::new(digits, point))
    }
}

fn to_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn split_digits(text: &str) -> (&str, &str) {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(count).unwrap_or((text, ""))
}

/// The product's digits, and how many there are more of them.
fn times_1024(mut digits: Vec<u8>, power: u32) -> (Vec<u8>, i64) {
    let before = digits.len();
    for _ in 0..power {
        let mut carry: u32 = 0;
        for digit in digits.iter_mut().rev() {
            let product = u32::from(*digit).saturating_mul(1024).saturating_add(carry);
            *digit = u8::try_from(product.rem_euclid(10)).unwrap_or_default();
            carry = product.div_euclid(10);
        }
        while carry > 0 {
            digits.insert(0, u8::try_from(carry.rem_euclid(10)).unwrap_or_default());
            carry = carry.div_euclid(10);
        }
    }
    let more = to_i64(digits.len()).saturating_sub(to_i64(before));
    (digits, more)
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        // Zero has no digits, and no place for its point.
        let size = |quantity: &Self| (!quantity.digits.is_empty()).then_some(quantity.point);
        let sizes = size(self).cmp(&size(other)).then_with(|| self.digits.cmp(&other.digits));
        match (self.negative, other.negative) {
            (false, false) => sizes,
            (true, true) => sizes.reverse(),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_compare_as_upstream_compares_them() {
        let lines = recorded::lines("sort");
        let cases: Vec<_> = lines.iter().filter(|line| line["quantity"].is_string()).collect();
        let quantities: Vec<_> =
            cases.iter().map(|case| Quantity::parse(case["quantity"].as_str().expect("text"))).collect();
        for (case, quantity) in cases.iter().zip(&quantities) {
            let signs = quantity.as_ref().map(|quantity| {
                let sign = |other: &Option<Quantity>| match other.as_ref().map(|other| quantity.cmp(other)) {
                    None => 'x',
                    Some(Ordering::Less) => '<',
                    Some(Ordering::Equal) => '=',
                    Some(Ordering::Greater) => '>',
                };
                quantities.iter().map(sign).collect::<String>()
            });
            assert_eq!(signs.as_deref(), case["compared"].as_str(), "{case}");
        }
        assert!(cases.len() > 60);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(any in ".*", near in "[+-]?[0-9]{0,30}\\.?[0-9]{0,30}([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,12})?") {
            let _ = Quantity::parse(&any);
            if let Some(quantity) = Quantity::parse(&near) {
                prop_assert_eq!(quantity.cmp(&quantity), Ordering::Equal);
            }
        }

        #[test]
        fn whole_amounts_are_numbers(a: i64, b: i64) {
            let quantity = |number: i64| Quantity::parse(&number.to_string()).expect("an amount");
            prop_assert_eq!(quantity(a).cmp(&quantity(b)), a.cmp(&b));
        }
    }
}
