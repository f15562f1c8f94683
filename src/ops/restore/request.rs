//! What a restore is asked for: the cluster, which is the same on every node, and
//! the place of one member of it.

use std::path::PathBuf;

use crate::etcd::peer_url::{InitialCluster, PeerUrl};
use crate::ops::verify;

use super::Owner;

/// What to make of the snapshot. Everything here goes into the database or into
/// the ids, so it must be the same on every node of the new cluster.
#[derive(Debug, Clone)]
pub struct Request {
    /// The new cluster.
    pub membership: Membership,
    /// Restore even if there is no digest or it does not match.
    pub skip_hash_check: bool,
    /// How far to move the revision ahead, everything before marked compacted.
    pub bump_revision: Option<u64>,
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
}
