//! Release lines of etcd, as far as their files differ.

use super::raft::Encoding;

/// A release line of etcd whose member directories can be written.
///
/// Ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EtcdLine {
    /// etcd 3.4.
    V3_4,
    /// etcd 3.5.
    V3_5,
    /// etcd 3.6.
    V3_6,
    /// etcd 3.7.
    V3_7,
}

/// A text that names no line of [`EtcdLine::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an etcd version from 3.4 to 3.7, found {found:?}")]
pub struct UnknownLine {
    /// The text.
    pub found: String,
}

impl EtcdLine {
    /// Every line, oldest first.
    pub const ALL: [Self; 4] = [Self::V3_4, Self::V3_5, Self::V3_6, Self::V3_7];

    /// The line whose layout a restore writes for this line.
    ///
    /// 3.4's own restore leaves the old cluster's members in the database, where
    /// 3.5 and later take them for members of the new one, and no voters in the
    /// WAL, without which 3.6 panics. 3.4 reads past both, so for 3.4 it is done
    /// as 3.5 does it.
    #[must_use]
    pub fn restored_as(self) -> Self {
        self.max(Self::V3_5)
    }

    /// How the line writes fields that are zero: 3.7 left gogo-proto behind.
    pub fn encoding(self) -> Encoding {
        if self < Self::V3_7 { Encoding::Gogo } else { Encoding::Standard }
    }

    /// `getsFail` in the v2 store of a restored member: from 3.6 on the store is
    /// asked for members before it is filled.
    pub fn v2_gets_fail(self) -> u64 {
        u64::from(self >= Self::V3_6)
    }

    /// Whether a WAL snapshot record names the voters: from 3.5 on.
    pub fn wal_snapshot_has_conf_state(self) -> bool {
        self >= Self::V3_5
    }
}

impl std::fmt::Display for EtcdLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::V3_4 => "3.4",
            Self::V3_5 => "3.5",
            Self::V3_6 => "3.6",
            Self::V3_7 => "3.7",
        })
    }
}

impl std::str::FromStr for EtcdLine {
    type Err = UnknownLine;

    /// Reads `3.5` or any version of that line, as releases and images are called:
    /// `3.5.33`, `v3.5.33`, `3.5.0-rc.1`.
    fn from_str(text: &str) -> Result<Self, UnknownLine> {
        let unknown = || UnknownLine { found: text.to_owned() };
        let mut parts = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
        let line = match (parts.next(), parts.next()) {
            (Some("3"), Some("4")) => Self::V3_4,
            (Some("3"), Some("5")) => Self::V3_5,
            (Some("3"), Some("6")) => Self::V3_6,
            (Some("3"), Some("7")) => Self::V3_7,
            _ => return Err(unknown()),
        };
        match parts.next() {
            Some(patch) if !patch.starts_with(|first: char| first.is_ascii_digit()) => Err(unknown()),
            _ => Ok(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_and_versions_of_them() {
        for line in EtcdLine::ALL {
            assert_eq!(line.to_string().parse(), Ok(line));
            assert_eq!(format!("{line}.33").parse(), Ok(line));
            assert_eq!(format!("{line}.0-rc.1").parse(), Ok(line));
            assert_eq!(format!("v{line}").parse(), Ok(line));
            assert_eq!(format!("v{line}.14").parse(), Ok(line));
        }
        for other in [
            "", "3", "3.", "3.3", "3.8", "3.50", "vv3.5", "v", "V3.5", "3.5.", "3.5.x", "4.5", " 3.5", "3.5 ",
        ] {
            let found = other.to_owned();
            assert_eq!(other.parse::<EtcdLine>(), Err(UnknownLine { found }));
        }
    }

    #[test]
    fn lines_differ_where_upstream_does() {
        assert!(EtcdLine::V3_4 < EtcdLine::V3_5 && EtcdLine::V3_6 < EtcdLine::V3_7);
        assert_eq!(EtcdLine::ALL.map(EtcdLine::v2_gets_fail), [0, 0, 1, 1]);
        assert_eq!(EtcdLine::ALL.map(EtcdLine::wal_snapshot_has_conf_state), [false, true, true, true]);
        assert_eq!(EtcdLine::V3_6.encoding(), Encoding::Gogo);
        assert_eq!(EtcdLine::V3_7.encoding(), Encoding::Standard);
        assert_eq!(EtcdLine::V3_4.restored_as(), EtcdLine::V3_5);
        assert_eq!(EtcdLine::V3_7.restored_as(), EtcdLine::V3_7);
    }
}
