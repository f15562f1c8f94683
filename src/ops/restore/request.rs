//! What a restore is asked for: the cluster, which is the same on every node, and
//! the place of one member of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::etcd::line::EtcdLine;
use crate::etcd::peer_url::{InitialCluster, PeerUrl};
use crate::kube::encryption::Keyring;
use crate::ops::rebuild::Changes;
use crate::ops::verify;

use super::{Existing, Fingerprint, Owner, RestoreError};

/// What to make of the snapshot. All of it goes into the database or into the ids,
/// or says when not to, so it must be the same on every node of the new cluster.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The new cluster.
    pub membership: Membership,
    /// The line of etcd to write for, if not the one that wrote the file.
    pub target_line: Option<EtcdLine>,
    /// What to put right that upstream's restore keeps.
    pub corrections: Corrections,
    /// How far to move the revision ahead, everything before marked compacted.
    pub bump: Option<Bump>,
    /// Without a bump: move it as [`Bump::Auto`] does if a client would see anything
    /// else than in the snapshot ([`Outcome::is_faithful`](crate::ops::rebuild::Outcome::is_faithful)).
    pub bump_if_unfaithful: bool,
    /// What to leave out or cleanse; with anything of that, the database is written
    /// anew. Its own bump is not looked at.
    pub changes: Changes,
    /// Opens encrypted values, to see whether they refer to something that is left out.
    pub keyring: Option<Arc<Keyring>>,
    /// Restore even if there is no digest or it does not match.
    pub skip_hash_check: bool,
    /// What the result must be: see [`Fingerprint`].
    pub expected_state: Option<Fingerprint>,
    /// How to verify.
    pub verify: verify::Options,
}

/// The members of a cluster to be.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    /// All of them, by name.
    pub cluster: InitialCluster,
    /// Goes into the ids, so that clusters with the same URLs differ.
    pub token: String,
    /// Names of those that start without a vote.
    pub learners: BTreeSet<String>,
}

/// What upstream's restore keeps and this one can put right. With none of them,
/// the content of the database is what upstream's restore of 3.5 to 3.7 arrives
/// at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Corrections {
    /// Take the marks of a newer line out of the file, for an older target.
    pub downgrade: bool,
    /// Take out a downgrade that was under way.
    pub clear_downgrade: bool,
    /// Take out all alarms.
    pub clear_alarms: bool,
    /// Let `meta/confState` name the new members.
    pub rewrite_conf_state: bool,
}

/// How far the revision is moved ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bump {
    /// By so much, from the last record.
    By(u64),
    /// By [`Bump::AUTO`] or the snapshot's own revision, whichever is greater: so
    /// much more than can have been written since.
    Auto,
}

impl Bump {
    /// The least that [`Auto`](Self::Auto) moves the revision: what etcd's
    /// documentation suggests, more than a week of 1500 writes a second.
    pub const AUTO: i64 = 1_000_000_000;
    /// The last revision that a bump may lead to, 2^62: as many again are left.
    pub const LIMIT: i64 = 1 << 62;

    /// The revision that it leads to, from the `last` record of a store whose
    /// revision is `current`.
    pub(super) fn apply(self, last: i64, current: i64) -> Result<i64, RestoreError> {
        let by = match self {
            Self::By(by) => by,
            Self::Auto => current.max(Self::AUTO).unsigned_abs(),
        };
        let too_far = RestoreError::BumpTooFar { revision: last, by };
        let bumped = i64::try_from(by).ok().and_then(|by| last.checked_add(by));
        let bumped = bumped.filter(|bumped| *bumped <= Self::LIMIT).ok_or(too_far)?;
        if bumped <= current {
            return Err(RestoreError::BumpTooShort { revision: current, bumped });
        }
        Ok(bumped)
    }
}

/// Where one member goes.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The member's name.
    pub name: String,
    /// The peer URLs that it will announce.
    pub advertised: Vec<PeerUrl>,
    /// The directory that will hold `member`.
    pub data_dir: PathBuf,
    /// Another place for the WAL than `member/wal`.
    pub wal_dir: Option<PathBuf>,
    /// Who will own what is written.
    pub owner: Option<Owner>,
    /// Mode of the data directory.
    pub mode: Option<u32>,
    /// What to do about what is there already.
    pub existing: Existing,
}

impl Placement {
    /// Where the WAL will stand.
    pub fn wal_path(&self) -> PathBuf {
        self.wal_dir.clone().unwrap_or_else(|| self.data_dir.join("member").join("wal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bump_goes_ahead_of_all_that_was_and_not_too_far() {
        assert_eq!(Bump::By(5).apply(7, 7).expect("ahead"), 12);
        assert_eq!(Bump::Auto.apply(301, 301).expect("ahead"), 1_000_000_301);
        assert_eq!(Bump::Auto.apply(2_000_000_000, 2_000_000_000).expect("ahead"), 4_000_000_000);
        // From the last record, as upstream; but it must lead past what the store
        // has been told to compact.
        assert_eq!(Bump::Auto.apply(3, 2_000_000_000).expect("ahead"), 2_000_000_003);
        let short = Bump::By(5).apply(7, 12).expect_err("not ahead");
        assert!(matches!(short, RestoreError::BumpTooShort { revision: 12, bumped: 12 }));
        let zero = Bump::By(0).apply(7, 7).expect_err("not ahead");
        assert!(matches!(zero, RestoreError::BumpTooShort { .. }));

        let room = Bump::LIMIT.unsigned_abs();
        assert_eq!(Bump::By(room - 7).apply(7, 7).expect("just"), Bump::LIMIT);
        for (bump, revision) in [
            (Bump::By(room - 6), 7),
            (Bump::By(u64::MAX), 7),
            (Bump::By(1), i64::MAX),
            (Bump::Auto, Bump::LIMIT),
            (Bump::Auto, Bump::LIMIT / 2 + 1),
        ] {
            let error = bump.apply(revision, revision).expect_err("too far");
            assert!(matches!(error, RestoreError::BumpTooFar { .. }), "{bump:?} {error}");
        }
    }
}
