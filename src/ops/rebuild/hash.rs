//! HashKV of a database that is not written yet.

use crate::bolt::{BuildError, FileOffset, WalkOptions, walk};
use crate::codec::checksum::Crc32c;
use crate::etcd::hash_kv::{HashKv, counts};
use crate::etcd::keyspace::KeyspaceFold;
use crate::etcd::record::Records;
use crate::etcd::revision::RevisionKey;
use crate::etcd::schema;
use crate::ops::Settings;
use crate::ops::damage::damage;

use super::content::{Marked, Sink};
use super::{Rebuild, RebuildError};

impl Rebuild<'_> {
    /// The hash that etcd will answer at the new revision. For it all records are
    /// looked at once more.
    ///
    /// # Errors
    /// Damage only if the file changed since it was planned.
    pub fn hash_kv(&self, settings: &Settings<'_>) -> Result<HashKv, RebuildError> {
        let content = &self.content;
        let options = WalkOptions { only: Some(&[schema::KEY]), ..settings.walk() };
        let fold = Records(KeyspaceFold::new(content.db.image));
        let ((keyspace, records), report) = walk(&content.db, &fold, &options);
        damage(&content.db, report, records.into(), &Settings { skip_damaged: false, ..*settings })?;
        let deleted = Marked::new(content.deletions.iter().map(|(_, offset)| *offset).collect());
        let mut alive = keyspace.sorted_offsets();
        alive.retain(|offset| !deleted.contains(*offset));
        if content.bump.is_some() {
            // The record of an earlier bump: the new one is of the same empty key.
            alive.retain(|offset| keyspace.at(*offset).is_none_or(|live| !live.key.is_empty()));
        }
        let mut crc = Crc32c::new();
        crc.update(schema::KEY);
        let mut sink = Hashing {
            crc,
            in_records: false,
            alive: Marked::new(alive),
            // The empty record of a bump is a key, too.
            any_alive: self.outcome.live_keys.1 > 0 || content.bump.is_some(),
            revision: self.outcome.revision.1,
            compact: self.outcome.compact_revision.1.unwrap_or(-1),
        };
        content.emit(&mut sink)?;
        let Hashing { crc, revision, compact: compact_revision, .. } = sink;
        Ok(HashKv { hash: crc.value(), revision, compact_revision })
    }
}

/// Hashes the records that count, in the order of their revisions.
struct Hashing {
    crc: Crc32c,
    in_records: bool,
    /// Of the file's records those that are alive in the end.
    alive: Marked,
    any_alive: bool,
    revision: i64,
    compact: i64,
}

impl Sink for Hashing {
    fn bucket(&mut self, name: &[u8], _: u64) -> Result<(), BuildError> {
        self.in_records = name == schema::KEY;
        Ok(())
    }

    fn entry(&mut self, key: &[u8], value: &[u8], from: Option<FileOffset>) -> Result<(), BuildError> {
        if !self.in_records {
            return Ok(());
        }
        let Ok(revision) = RevisionKey::parse(key) else { return Ok(()) };
        // Of what is new, deletions are not alive, and the record of a bump is.
        let is_alive = || match from {
            _ if !self.any_alive => true,
            Some(offset) => self.alive.contains(offset),
            None => !revision.tombstone,
        };
        if counts(&revision, self.revision, self.compact, is_alive) {
            self.crc.update(key);
            self.crc.update(value);
        }
        Ok(())
    }
}
