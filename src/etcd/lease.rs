//! Leases: bucket `lease`.

use crate::codec::fixed::i64_be;
use crate::codec::protobuf::{Fields, WireFault};

/// Number of a lease. Written in hex, as etcdctl does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl std::fmt::Display for LeaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A lease that was granted. When it expires is not stored.
///
/// Key: the id, 8 bytes big-endian. Value: `leasepb.Lease` {1 ID, 2 TTL,
/// 3 RemainingTTL}. Source: etcd `server/lease/leasepb/lease.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// Seconds it lives after each renewal.
    pub ttl_seconds: i64,
    /// Seconds that were left at the last checkpoint, 0 if there was none.
    pub remaining_seconds: i64,
}

/// Why an entry of bucket `lease` is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseFault {
    /// The key is not 8 bytes long.
    #[error("a key of {0} bytes, not 8")]
    KeyLength(usize),
    /// The value is no protobuf message.
    #[error("{0}")]
    Value(#[from] WireFault),
    /// Key and value name different leases.
    #[error("lease {found} under the key of lease {key}")]
    OtherId {
        /// The lease that the key names.
        key: LeaseId,
        /// The lease that the value names.
        found: LeaseId,
    },
    /// No time to live.
    #[error("a time to live of {0} s")]
    TimeToLive(i64),
}

impl Lease {
    /// Reads an entry of bucket `lease`.
    ///
    /// # Errors
    /// See [`LeaseFault`].
    pub fn parse(key: &[u8], value: &[u8]) -> Result<Self, LeaseFault> {
        let length = LeaseFault::KeyLength(key.len());
        let named = LeaseId(i64_be(key, 0).filter(|_| key.len() == 8).ok_or(length)?);
        let mut lease = Self { id: LeaseId(0), ttl_seconds: 0, remaining_seconds: 0 };
        for field in Fields::new(value) {
            let field = field?;
            match field.number {
                1 => lease.id = LeaseId(field.int64()?),
                2 => lease.ttl_seconds = field.int64()?,
                3 => lease.remaining_seconds = field.int64()?,
                _ => {}
            }
        }
        if lease.id != named {
            return Err(LeaseFault::OtherId { key: named, found: lease.id });
        }
        if lease.ttl_seconds <= 0 {
            return Err(LeaseFault::TimeToLive(lease.ttl_seconds));
        }
        Ok(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"\x05\xb4\xa2\x03\x95\xb6\xf2\x0d";
    const VALUE: &[u8] = b"\x08\x8d\xe4\xdb\xad\xb9\xc0\xa8\xda\x05\x10\x90\x1c";

    #[test]
    fn a_lease_as_etcd_writes_it() {
        let lease = Lease::parse(KEY, VALUE).expect("sound");
        assert_eq!((lease.id.to_string().as_str(), lease.ttl_seconds), ("5b4a20395b6f20d", 3600));
    }

    #[test]
    fn what_is_no_lease_is_refused() {
        let fault = |key: &[u8], value: &[u8]| Lease::parse(key, value).expect_err("a fault");
        assert_eq!(fault(b"short", VALUE), LeaseFault::KeyLength(5));
        assert!(matches!(fault(&[0; 8], VALUE), LeaseFault::OtherId { .. }));
        assert_eq!(fault(KEY, &VALUE[..10]), LeaseFault::TimeToLive(0));
        assert!(matches!(fault(KEY, &VALUE[..9]), LeaseFault::Value(_)));
    }
}
