//! Which line of etcd starts on what was restored.

use crate::etcd::line::EtcdLine;
use crate::etcd::state::State;

/// The lines of etcd that start on a restored directory, and may.
///
/// A file says of itself by which line it was written. 3.6 and 3.7 refuse a newer
/// one than their own; 3.4 and 3.5 do not look at all of it and start on some that
/// they do not understand, which is a downgrade without the steps that etcd has
/// for one. Such lines do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartsOn {
    lines: [bool; EtcdLine::ALL.len()],
}

/// Lines from `oldest` on.
const fn since(oldest: EtcdLine) -> Option<StartsOn> {
    let mut lines = [false; EtcdLine::ALL.len()];
    let mut at = oldest as usize;
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "below the length, at build time"
    )]
    while at < lines.len() {
        lines[at] = true;
        at += 1;
    }
    Some(StartsOn { lines })
}

const SINCE_3_4: Option<StartsOn> = since(EtcdLine::V3_4);
const SINCE_3_5: Option<StartsOn> = since(EtcdLine::V3_5);
const SINCE_3_6: Option<StartsOn> = since(EtcdLine::V3_6);
const SINCE_3_7: Option<StartsOn> = since(EtcdLine::V3_7);

/// By the line that wrote the file (rows) and the line it is restored for
/// (columns), each in the order of [`EtcdLine::ALL`]. What is left of the diagonal
/// is a downgrade; `None` where upstream has no way to make one. Every cell is
/// tried with real servers in `tests/real_etcd/lines.rs`.
const MATRIX: [[Option<StartsOn>; 4]; 4] = [
    [SINCE_3_4, SINCE_3_4, SINCE_3_4, SINCE_3_4],
    [SINCE_3_4, SINCE_3_5, SINCE_3_5, SINCE_3_5],
    [None, SINCE_3_5, SINCE_3_6, SINCE_3_6],
    [None, SINCE_3_5, SINCE_3_6, SINCE_3_7],
];

impl StartsOn {
    /// The lines that start on a file of `written_by` that was restored for
    /// `written_for`; `None` if that cannot be done.
    pub fn of(written_by: EtcdLine, written_for: EtcdLine) -> Option<Self> {
        MATRIX.get(written_by as usize)?.get(written_for as usize).copied().flatten()
    }

    /// The lines, oldest first.
    pub fn lines(self) -> impl Iterator<Item = EtcdLine> {
        EtcdLine::ALL.into_iter().filter(move |line| self.contains(*line))
    }

    /// Whether a line is among them.
    pub fn contains(self, line: EtcdLine) -> bool {
        self.lines.get(line as usize).copied().unwrap_or_default()
    }

    /// Without the lines that something else in the file keeps from starting.
    pub(super) fn in_view_of(mut self, state: &State) -> Self {
        let agreed = cluster_line(state);
        let downgrade = state.downgrade.as_deref();
        for (line, starts) in EtcdLine::ALL.into_iter().zip(&mut self.lines) {
            // The version that the old members agreed on is looked at from 3.6 on.
            *starts &= line < EtcdLine::V3_6 || agreed.is_none_or(|agreed| agreed <= line);
            // While a downgrade is under way, 3.5 lets none but its target in.
            let target = downgrade.map(|target| target.parse() == Ok(line));
            *starts &= line != EtcdLine::V3_5 || target != Some(false);
        }
        self
    }
}

/// The line that the old members agreed on, if one is said; of those known here,
/// the nearest.
pub(super) fn cluster_line(state: &State) -> Option<EtcdLine> {
    let version = state.cluster_version.as_deref()?;
    if let Ok(line) = version.parse() {
        return Some(line);
    }
    let minor: u64 = version.strip_prefix("3.")?.split('.').next()?.parse().ok()?;
    (minor > 7).then_some(EtcdLine::V3_7)
}

/// The newest line that has left a mark in the file: ahead of the line that wrote
/// it while an upgrade is not finished.
pub(super) fn newest_line(state: &State) -> EtcdLine {
    let (written_by, _) = state.line();
    cluster_line(state).map_or(written_by, |agreed| agreed.max(written_by))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(starts_on: StartsOn) -> Vec<String> {
        starts_on.lines().map(|line| line.to_string()).collect()
    }

    #[test]
    fn a_file_starts_on_what_it_was_restored_for_and_on_all_later_lines() {
        for by in EtcdLine::ALL {
            for target in EtcdLine::ALL {
                let Some(starts_on) = StartsOn::of(by, target) else {
                    assert!(target == EtcdLine::V3_4 && by >= EtcdLine::V3_6, "{by} for {target}");
                    continue;
                };
                let oldest = by.min(target);
                for line in EtcdLine::ALL {
                    assert_eq!(starts_on.contains(line), line >= oldest, "{by} for {target} on {line}");
                }
            }
        }
    }

    #[test]
    fn what_the_old_members_agreed_on_keeps_older_lines_away() {
        let all = StartsOn::of(EtcdLine::V3_4, EtcdLine::V3_5).expect("all");
        let with = |version: &str, downgrade: Option<&str>| {
            let cluster_version = Some(version.to_owned());
            let state =
                State { cluster_version, downgrade: downgrade.map(str::to_owned), ..State::default() };
            lines(all.in_view_of(&state))
        };
        assert_eq!(with("3.5.0", None), ["3.4", "3.5", "3.6", "3.7"]);
        assert_eq!(with("3.7.0", None), ["3.4", "3.5", "3.7"]);
        assert_eq!(with("3.8.0", None), ["3.4", "3.5", "3.7"]);
        assert_eq!(with("3.5.0", Some("3.4.0")), ["3.4", "3.6", "3.7"]);
        assert_eq!(with("3.5.0", Some("3.5.0")), ["3.4", "3.5", "3.6", "3.7"]);
    }
}
