//! An entry in words.

use etcdsnap::etcd::entry::Entry;
use etcdsnap::etcd::lease::LeaseId;
use etcdsnap::kube::envelope::{Envelope, EnvelopeFault};
use etcdsnap::ops::pages::Content;

use super::super::pages::shown::{excerpt, is_text, revision};
use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, hex, safe};

/// How many bytes of a value are shown that nothing makes sense of.
const SHOWN: usize = 32;

/// What an entry is, in a line. `None` where it is not understood.
pub(super) fn words(content: &Content<'_>) -> Option<String> {
    let entry = content.entry.as_ref().ok()?;
    Some(match entry {
        Entry::Bucket { root: 0, sequence } => format!("bucket, inline, sequence {sequence}"),
        Entry::Bucket { root, sequence } => format!("bucket, root page {root}, sequence {sequence}"),
        Entry::Record(record) if record.tombstone => format!("deletion of {}", safe(record.kv.key)),
        Entry::Record(record) => {
            let kv = &record.kv;
            let lease = if kv.lease == 0 { String::new() } else { format!(", lease {}", LeaseId(kv.lease)) };
            let value = grouped(kv.value.len() as u64);
            let kind = content.envelope.as_ref().and_then(envelope);
            let kind = kind.map_or_else(String::new, |kind| format!(" ({kind})"));
            format!(
                "{}: created {}, modified {}, version {}{lease}, value {value} bytes{kind}",
                safe(kv.key),
                kv.create_revision,
                kv.mod_revision,
                kv.version
            )
        }
        Entry::Lease(lease) => format!(
            "lease {}, {} s to live, {} s remaining at the last checkpoint",
            lease.id, lease.ttl_seconds, lease.remaining_seconds
        ),
        Entry::Number(number) => number.to_string(),
        Entry::Revision(key) => format!("revision {}", revision(key)),
        Entry::Flag(on) => if *on { "on" } else { "off" }.to_owned(),
        Entry::Text(text) => safe(text.as_bytes()),
        Entry::Removed(id) => format!("member {id} was removed"),
        Entry::Alarm(alarm) => format!("alarm {} of member {:x}", alarm.kind, alarm.member),
        Entry::User(user) => {
            let roles: Vec<String> = user.roles.iter().map(|role| safe(role)).collect();
            let password = if user.has_password { "with a password" } else { "without a password" };
            format!("user {}, {password}, roles: {}", safe(&user.name), roles.join(", "))
        }
        Entry::Role(role) => {
            let permissions = count(role.permissions as u64, "permission", "permissions");
            format!("role {}, {permissions}", safe(&role.name))
        }
        Entry::Unknown => return None,
    })
}

/// What a value is, as Kubernetes stores values.
pub(super) fn envelope(envelope: &Result<Envelope<'_>, EnvelopeFault>) -> Option<String> {
    Some(match envelope {
        Ok(Envelope::Protobuf(unknown)) => {
            format!("protobuf, {} {}", safe(unknown.api_version), safe(unknown.kind))
        }
        Ok(Envelope::Json(_)) => "JSON".to_owned(),
        Ok(Envelope::Cbor(_)) => "CBOR".to_owned(),
        Ok(Envelope::Encrypted(encrypted)) => {
            let (version, name) = (safe(encrypted.version), safe(encrypted.name));
            safe(format!("encrypted: {} {version}, key {name}", encrypted.provider).as_bytes())
        }
        Err(fault) => safe(format!("broken: {fault}").as_bytes()),
        Ok(_) => return None,
    })
}

/// The beginning of bytes that nothing makes sense of.
pub(super) fn raw(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "empty".to_owned();
    }
    if is_text(bytes) {
        return format!("\"{}\"", excerpt(bytes));
    }
    let (head, dots) = match bytes.get(..SHOWN) {
        Some(head) if bytes.len() > SHOWN => (head, "..."),
        _ => (bytes, ""),
    };
    format!("0x{}{dots}", hex(head))
}
