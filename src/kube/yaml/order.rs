//! The order of keys: numbers in them by their value, letters last.
//!
//! Source: `go.yaml.in/yaml/v2` `sorter.go`, 2.4.3; Go `unicode`, 1.25.

use std::borrow::Cow;

use super::letters::{DIGITS, LETTERS};
use crate::kube::value::Value;

/// Entries of a map, in the order of their keys' bytes or not.
type Entries<'a, 'v> = &'v [(Cow<'a, str>, Value<'a>)];

/// Whether a map that is in the order of bytes is in the order wanted as well.
/// Nearly all are.
pub(super) fn is_natural(entries: Entries<'_, '_>) -> bool {
    entries.is_sorted_by(|(a, _), (b, _)| stay(a, b))
}

/// Entries in the order wanted.
///
/// That order has cycles ("2" before "19" before "1a" before "2"), in which
/// upstream's result depends on chance. So this is no sort of the standard
/// library, which may panic at such an order, but a merge sort, which does not
/// mind it.
pub(super) fn sorted<'a, 'v>(entries: Entries<'a, 'v>) -> Vec<&'v (Cow<'a, str>, Value<'a>)> {
    let mut sorted: Vec<_> = entries.iter().collect();
    let mut merged = Vec::with_capacity(sorted.len());
    let mut width = 1_usize;
    while width < sorted.len() {
        for pair in sorted.chunks(width.saturating_mul(2)) {
            let (mut left, mut right) = pair.split_at_checked(width).unwrap_or((pair, &[]));
            while let (Some((a, more_left)), Some((b, more_right))) =
                (left.split_first(), right.split_first())
            {
                if less(&b.0, &a.0) {
                    merged.push(*b);
                    right = more_right;
                } else {
                    merged.push(*a);
                    left = more_left;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut sorted, &mut merged);
        merged.clear();
        width = width.saturating_mul(2);
    }
    sorted
}

/// Whether two keys in the order of their bytes may stay as they are.
fn stay(a: &str, b: &str) -> bool {
    let (a_bytes, b_bytes) = (a.as_bytes(), b.as_bytes());
    match a_bytes.iter().zip(b_bytes).find(|(x, y)| x != y) {
        // The shorter one is first.
        None => true,
        Some((x, y)) if x.is_ascii_alphabetic() && y.is_ascii_alphabetic() => true,
        Some(_) => !less(b, a),
    }
}

/// Whether `a` comes before `b`.
fn less(a: &str, b: &str) -> bool {
    let Some(same) = a.bytes().zip(b.bytes()).position(|(x, y)| x != y) else {
        return a.len() < b.len();
    };
    // Back to where the character begins in which they differ.
    let same = (0..=same).rev().find(|at| a.is_char_boundary(*at)).unwrap_or(0);
    let (Some((before, a)), Some((_, b))) = (a.split_at_checked(same), b.split_at_checked(same)) else {
        return false;
    };
    let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) else { return a.len() < b.len() };
    match (is_letter(x), is_letter(y)) {
        (true, true) => return x < y,
        (false, false) => {}
        (_, y_is_letter) => return y_is_letter,
    }
    // A zero counts only behind another digit that is not zero.
    let counts = |c: char| c != '0';
    let zero = !(counts(x) && counts(y));
    let start = i64::from(zero && before.chars().rev().take_while(|c| is_digit(*c)).any(counts));
    let (a_number, a_digits) = leading_number(a, start);
    let (b_number, b_digits) = leading_number(b, start);
    (a_number, a_digits, x) < (b_number, b_digits, y)
}

/// The number that the digits at the front go on to from `start`, which wraps
/// around as upstream's does, and how many they are.
fn leading_number(text: &str, start: i64) -> (i64, usize) {
    text.chars().take_while(|c| is_digit(*c)).fold((start, 0), |(number, count), digit| {
        let value = i64::from(u32::from(digit)).wrapping_sub(i64::from(b'0'));
        (number.wrapping_mul(10).wrapping_add(value), usize::saturating_add(count, 1))
    })
}

/// Whether an even number of edges is behind the character, or an odd one.
fn inside(edges: &[u32], char: char) -> bool {
    edges.partition_point(|edge| *edge <= u32::from(char)) % 2 == 1
}

fn is_letter(char: char) -> bool {
    if char.is_ascii() { char.is_ascii_alphabetic() } else { inside(&LETTERS, char) }
}

fn is_digit(char: char) -> bool {
    if char.is_ascii() { char.is_ascii_digit() } else { inside(&DIGITS, char) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::value::Map;
    use proptest::prelude::*;

    fn in_order(keys: &[&str]) -> Vec<String> {
        let entries = keys.iter().map(|key| (Cow::Owned((*key).to_owned()), Value::Null)).collect();
        let map = Map::from_entries(entries);
        sorted(map.entries()).into_iter().map(|(key, _)| key.to_string()).collect()
    }

    #[test]
    fn numbers_count_by_value_and_letters_come_last() {
        let keys = ["_", "\"1\"", "X", "a", "x-1", "x/1", "x9", "x10", "é"];
        let mut mixed = keys;
        mixed.reverse();
        assert_eq!(in_order(&mixed), ["\"1\"", "_", "X", "a", "x-1", "x/1", "x9", "x10", "é"]);
    }

    /// 2, then 19, then 1a, then 2: upstream's answer is any of three.
    #[test]
    fn cycles_neither_panic_nor_lose_keys() {
        let names: Vec<String> =
            (0..2000).map(|n: u32| format!("{:x}", n.wrapping_mul(2654435761))).collect();
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut sorted = in_order(&keys);
        assert!(less("2", "19") && less("19", "1a") && less("1a", "2"));
        sorted.sort();
        let mut expected = names;
        expected.sort();
        assert_eq!(sorted, expected);
    }

    proptest! {
        /// The quick look at neighbours must not differ from the order itself.
        #[test]
        fn maps_left_as_they_are_were_in_order(keys in proptest::collection::vec("[a-cA0-2._é-]{0,4}", 0..6)) {
            let entries = keys.into_iter().map(|key| (Cow::Owned(key), Value::Null)).collect();
            let map = Map::from_entries(entries);
            let neighbours = map.entries().is_sorted_by(|(a, _), (b, _)| !less(b, a));
            prop_assert_eq!(is_natural(map.entries()), neighbours);
        }
    }
}
