//! The hash that `snapshot status` prints: CRC-32C over the names of all
//! buckets and all their keys and values, in order.
//!
//! It is a fingerprint of the logical content: page layout does not matter,
//! but the consistent index does, so snapshots of two members differ. All
//! versions from 3.4 to 3.7 compute the same number.
//!
//! Source: etcd `etcdutl/snapshot/v3_snapshot.go` @ v3.6.14, `Status`.

use crate::bolt::{Bucket, Fold, LeafView};
use crate::codec::checksum::Crc32c;

/// Computes the hash. A nested bucket counts with its name and no value, and
/// what is in it does not count, as upstream has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatusHash;

impl<'a> Fold<'a> for StatusHash {
    type Part = Crc32c;
    type Total = Crc32c;

    fn total(&self) -> Crc32c {
        Crc32c::new()
    }

    fn part(&self, _: &Bucket<'a>) -> Crc32c {
        Crc32c::new()
    }

    #[inline]
    fn leaf(&self, part: &mut Crc32c, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        if bucket.depth > 0 {
            return;
        }
        for element in leaf.elements {
            part.update(if element.is_bucket { element.key() } else { element.key_value() });
        }
    }

    fn enter(&self, total: &mut Crc32c, bucket: &Bucket<'a>) {
        if bucket.depth == 0 {
            total.update(bucket.name);
        }
    }

    fn join(&self, total: &mut Crc32c, _: &Bucket<'a>, part: Crc32c) {
        total.join(part);
    }
}
