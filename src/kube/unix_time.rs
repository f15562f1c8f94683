//! Points in time as API objects have them: whole seconds, RFC 3339 text.

use std::fmt;
use std::str::FromStr;

const DAY: i64 = 86_400;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted; between the
/// years -9999 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

/// Why text is no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// Not the form of RFC 3339.
    #[error("not a time like 2006-01-02T15:04:05Z, from byte {at} on")]
    Form {
        /// The first byte that does not fit.
        at: usize,
    },
    /// There is no such month.
    #[error("month {0}")]
    Month(u8),
    /// The month has no such day.
    #[error("day {0}")]
    Day(u8),
    /// Past 23:59:60.
    #[error("time of day {0:02}:{1:02}:{2:02}")]
    TimeOfDay(u8, u8, u8),
    /// An offset from UTC of a day or more.
    #[error("offset {0:02}:{1:02}")]
    Offset(u8, u8),
    /// Its offset carries it past the year 9999.
    #[error("past the year 9999")]
    Range,
}

impl UnixTime {
    /// -9999-01-01T00:00:00Z.
    pub const MIN: Self = Self(-377_705_116_800);
    /// 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// `seconds` since 1970, if that is between [`MIN`](Self::MIN) and
    /// [`MAX`](Self::MAX).
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&seconds).then_some(Self(seconds))
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

/// Year, month and day of the day that is `days` after 1970-01-01.
///
/// Counts in eras of 400 years that begin on a 1st of March, so that the day a
/// leap year adds is the last of its year. Source: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
#[cfg_attr(not(test), expect(clippy::arithmetic_side_effects, reason = "days are bounded by UnixTime"))]
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse, for years of four digits.
#[cfg_attr(not(test), expect(clippy::arithmetic_side_effects, reason = "a year of at most four digits"))]
fn days_from_civil(year: u16, month: u8, day: u8) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// RFC 3339 in UTC. Years before 0, which RFC 3339 lacks, get a sign.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let sign = if year < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", year.unsigned_abs())
    }
}

/// Reads digits and marks from the start of a text.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    fn fault(&self) -> TimeFault {
        TimeFault::Form { at: self.at }
    }

    /// The next byte, if it is one of `allowed`.
    fn one_of(&mut self, allowed: &[u8]) -> Result<u8, TimeFault> {
        let byte = self.text.get(self.at).copied().filter(|byte| allowed.contains(byte));
        let byte = byte.ok_or(self.fault())?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    fn digit(&mut self) -> Result<u8, TimeFault> {
        self.one_of(b"0123456789").map(|byte| byte.saturating_sub(b'0'))
    }

    fn two_digits(&mut self) -> Result<u8, TimeFault> {
        Ok(self.digit()?.saturating_mul(10).saturating_add(self.digit()?))
    }
}

/// RFC 3339 with any offset. A fraction of a second is cut off; a leap second is
/// the second after it, as in Unix time.
impl FromStr for UnixTime {
    type Err = TimeFault;

    fn from_str(text: &str) -> Result<Self, TimeFault> {
        let mut cursor = Cursor { text: text.as_bytes(), at: 0 };
        let century = u16::from(cursor.two_digits()?);
        let year = century.saturating_mul(100).saturating_add(u16::from(cursor.two_digits()?));
        cursor.one_of(b"-")?;
        let month = cursor.two_digits()?;
        if !(1..=12).contains(&month) {
            return Err(TimeFault::Month(month));
        }
        cursor.one_of(b"-")?;
        let day = cursor.two_digits()?;
        if !(1..=days_in(year, month)).contains(&day) {
            return Err(TimeFault::Day(day));
        }
        cursor.one_of(b"Tt ")?;
        let hour = cursor.two_digits()?;
        cursor.one_of(b":")?;
        let minute = cursor.two_digits()?;
        cursor.one_of(b":")?;
        let second = cursor.two_digits()?;
        if hour > 23 || minute > 59 || second > 60 {
            return Err(TimeFault::TimeOfDay(hour, minute, second));
        }
        if cursor.one_of(b".").is_ok() {
            cursor.digit()?;
            while cursor.digit().is_ok() {}
        }
        let ahead = match cursor.one_of(b"Zz+-")? {
            sign @ (b'+' | b'-') => {
                let hours = cursor.two_digits()?;
                cursor.one_of(b":")?;
                let minutes = cursor.two_digits()?;
                if hours > 23 || minutes > 59 {
                    return Err(TimeFault::Offset(hours, minutes));
                }
                let seconds = seconds(hours, minutes, 0);
                if sign == b'+' { seconds } else { seconds.saturating_neg() }
            }
            _ => 0,
        };
        if cursor.at < text.len() {
            return Err(cursor.fault());
        }
        let midnight = days_from_civil(year, month, day).saturating_mul(DAY);
        let total = midnight.saturating_add(seconds(hour, minute, second)).saturating_sub(ahead);
        Self::from_seconds(total).ok_or(TimeFault::Range)
    }
}

fn seconds(hours: u8, minutes: u8, seconds: u8) -> i64 {
    let minutes = i64::from(hours).saturating_mul(60).saturating_add(i64::from(minutes));
    minutes.saturating_mul(60).saturating_add(i64::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<i64, TimeFault> {
        text.parse().map(UnixTime::seconds)
    }

    #[test]
    fn known_times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_795_271_716, "2026-11-21T14:35:16Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (UnixTime::MAX.0, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixTime(seconds).to_string(), text);
            assert_eq!(parse(text), Ok(seconds));
        }
        assert_eq!(UnixTime(-62_167_219_201).to_string(), "-0001-12-31T23:59:59Z");
        assert_eq!(UnixTime::MIN.to_string(), "-9999-01-01T00:00:00Z");
        assert_eq!(UnixTime::from_seconds(UnixTime::MIN.0 - 1), None);
        assert_eq!(UnixTime::from_seconds(UnixTime::MAX.0 + 1), None);
        assert_eq!(UnixTime::from_seconds(i64::MIN), None);
    }

    #[test]
    fn every_day_of_the_range_follows_the_one_before() {
        let first = UnixTime::MIN.0 / DAY;
        let mut expected = (-9999, 1, 1);
        for day in first..=UnixTime::MAX.0.div_euclid(DAY) {
            assert_eq!(civil_from_days(day), expected);
            let (year, month, date) = expected;
            if year >= 0 {
                assert_eq!(days_from_civil(year as u16, month as u8, date as u8), day);
            }
            // The calendar repeats itself every 400 years.
            let last = days_in((year + 10_000) as u16, month as u8);
            expected = match (month, date) {
                (12, 31) => (year + 1, 1, 1),
                (_, date) if date == i64::from(last) => (year, month + 1, 1),
                _ => (year, month, date + 1),
            };
        }
        assert_eq!(expected, (10_000, 1, 1));
    }

    #[test]
    fn fractions_offsets_and_leap_seconds() {
        assert_eq!(parse("1970-01-01T00:00:01.999999Z"), Ok(1));
        assert_eq!(parse("1970-01-01t02:00:00+02:00"), Ok(0));
        assert_eq!(parse("1969-12-31 18:30:00.5-05:30"), Ok(0));
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2017-01-01T00:00:00z"));
        assert_eq!(parse("9999-12-31T23:59:59-00:01"), Err(TimeFault::Range));
        assert_eq!(parse("0000-01-01T00:00:00+00:01"), Ok(-62_167_219_260));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (text, fault) in [
            ("", TimeFault::Form { at: 0 }),
            ("yesterday", TimeFault::Form { at: 0 }),
            ("2026-11-22", TimeFault::Form { at: 10 }),
            ("2026-11-22T10:00:00", TimeFault::Form { at: 19 }),
            ("2026-11-22T10:00:00.Z", TimeFault::Form { at: 20 }),
            ("2026-11-22T10:00:00Zx", TimeFault::Form { at: 20 }),
            ("2026-11-22T10:00:00+0100", TimeFault::Form { at: 22 }),
            ("-001-11-22T10:00:00Z", TimeFault::Form { at: 0 }),
            ("2026-13-01T00:00:00Z", TimeFault::Month(13)),
            ("2026-00-01T00:00:00Z", TimeFault::Month(0)),
            ("2026-02-29T00:00:00Z", TimeFault::Day(29)),
            ("1900-02-29T00:00:00Z", TimeFault::Day(29)),
            ("2026-04-31T00:00:00Z", TimeFault::Day(31)),
            ("2026-04-00T00:00:00Z", TimeFault::Day(0)),
            ("2026-04-01T24:00:00Z", TimeFault::TimeOfDay(24, 0, 0)),
            ("2026-04-01T23:60:00Z", TimeFault::TimeOfDay(23, 60, 0)),
            ("2026-04-01T23:00:61Z", TimeFault::TimeOfDay(23, 0, 61)),
            ("2026-04-01T23:00:00+24:00", TimeFault::Offset(24, 0)),
        ] {
            assert_eq!(parse(text), Err(fault), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in ".*", near in "[0-9TZ:.+ -]{0,30}") {
            let _ = parse(&text);
            let _ = parse(&near);
        }

        #[test]
        fn what_is_shown_is_read_back(seconds in -62_167_219_200i64..=253_402_300_799) {
            prop_assert_eq!(parse(&UnixTime(seconds).to_string()), Ok(seconds));
        }
    }
}
