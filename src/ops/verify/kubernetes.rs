//! What the values of Kubernetes keys are: every revision of every object.

use crate::bolt::{Db, Excerpt, FileOffset};
use crate::etcd::keyspace::Keyspace;
use crate::etcd::record::{Record, RecordFold};
use crate::kube::encryption::Keyring;
use crate::kube::envelope::{Envelope, check_shape};
use crate::kube::registry_key::{Prefixes, RegistryKey};
use crate::ops::finding::{Check, Finding, Findings, Grade};

use super::locked::{self, LockedRecords};
use super::schema::place;

/// Recognises the value of every record under the prefixes of Kubernetes.
#[derive(Clone, Copy)]
pub(super) struct Values<'p> {
    pub(super) prefixes: &'p Prefixes,
    /// To look into encrypted values, if it is there.
    pub(super) keyring: Option<&'p Keyring>,
    pub(super) which: super::Values,
}

/// What values are, as the names under which they are counted.
const KINDS: [&str; 7] = ["protobuf", "json", "cbor", "encrypted", "internal", "empty", "other"];

/// How many values there are of each kind, and those that are broken.
#[derive(Default)]
pub(super) struct ValueKinds {
    counts: [u64; KINDS.len()],
    broken: Vec<Broken>,
    broken_count: u64,
    strange: Vec<Broken>,
    strange_count: u64,
    opened: u64,
    locked: LockedRecords,
}

struct Broken {
    offset: FileOffset,
    key: Excerpt,
    why: String,
}

impl ValueKinds {
    /// Whether one of them is an object's.
    pub(super) fn has_objects(&self) -> bool {
        self.counts.iter().take(4).any(|count| *count > 0)
    }

    /// Where the records stand whose values cannot be decoded: the first of them.
    pub(super) fn undecodable(&self) -> Vec<FileOffset> {
        self.broken.iter().map(|broken| broken.offset).collect()
    }

    fn count(&mut self, kind: usize) {
        if let Some(count) = self.counts.get_mut(kind) {
            *count = count.saturating_add(1);
        }
    }

    fn broken(&mut self, record: &Record<'_>, why: String) {
        self.broken_count = self.broken_count.saturating_add(1);
        if self.broken.len() < Findings::KEPT {
            self.broken.push(Broken { offset: record.offset, key: Excerpt::of(record.kv.key), why });
        }
    }

    fn strange(&mut self, record: &Record<'_>, why: &str) {
        self.strange_count = self.strange_count.saturating_add(1);
        if self.strange.len() < Findings::KEPT {
            let key = Excerpt::of(record.kv.key);
            self.strange.push(Broken { offset: record.offset, key, why: why.into() });
        }
    }
}

impl<'a> RecordFold<'a> for Values<'_> {
    type Part = ValueKinds;
    type Total = ValueKinds;

    fn total(&self) -> ValueKinds {
        ValueKinds::default()
    }

    fn part(&self) -> ValueKinds {
        ValueKinds::default()
    }

    #[inline]
    fn record(&self, part: &mut ValueKinds, record: &Record<'a>) {
        if self.which == super::Values::First && part.has_objects() {
            return;
        }
        if record.tombstone || self.prefixes.strip(record.kv.key).is_none() {
            return;
        }
        let envelope = match Envelope::parse(record.kv.value) {
            Ok(envelope) => envelope,
            Err(fault) => return part.broken(record, fault.to_string()),
        };
        match (envelope, self.keyring) {
            (Envelope::Encrypted(_), Some(keyring)) => self.open(keyring, part, record),
            _ => {
                if let Err(fault) = check_shape(&envelope) {
                    part.broken(record, fault.to_string());
                }
            }
        }
        // Only what no server writes for an object is worth a look at the key.
        let kind = match envelope {
            Envelope::Protobuf(_) => 0,
            Envelope::Json(_) => 1,
            Envelope::Cbor(_) => 2,
            Envelope::Encrypted(_) => 3,
            _ if !matches!(RegistryKey::parse(record.kv.key, self.prefixes), RegistryKey::Object(_)) => 4,
            Envelope::Empty => 5,
            _ => 6,
        };
        part.count(kind);
        match kind {
            5 => part.strange(record, "no value"),
            6 => part.strange(record, "neither protobuf nor JSON, CBOR or an encrypted value"),
            _ => {}
        }
    }

    fn join(&self, total: &mut ValueKinds, part: ValueKinds) {
        for (sum, more) in total.counts.iter_mut().zip(part.counts) {
            *sum = sum.saturating_add(more);
        }
        for (kept, count, more, more_count) in [
            (&mut total.broken, &mut total.broken_count, part.broken, part.broken_count),
            (&mut total.strange, &mut total.strange_count, part.strange, part.strange_count),
        ] {
            *count = count.saturating_add(more_count);
            let room = Findings::KEPT.saturating_sub(kept.len());
            kept.extend(more.into_iter().take(room));
        }
        total.opened = total.opened.saturating_add(part.opened);
        total.locked.join(part.locked);
    }
}

impl Values<'_> {
    /// Opens an encrypted value and looks at what comes out.
    fn open(&self, keyring: &Keyring, part: &mut ValueKinds, record: &Record<'_>) {
        let registry = RegistryKey::parse(record.kv.key, self.prefixes);
        let opened = match keyring.open_at(&registry, record.kv.key, record.kv.value) {
            Ok(opened) => opened,
            Err(locked) => return part.locked.push(locked.why, record.offset),
        };
        part.opened = part.opened.saturating_add(1);
        match Envelope::parse(&opened) {
            Ok(envelope @ (Envelope::Protobuf(_) | Envelope::Json(_) | Envelope::Cbor(_))) => {
                if let Err(fault) = check_shape(&envelope) {
                    part.broken(record, format!("once decrypted, {fault}"));
                }
            }
            Ok(_) => part.broken(record, "once decrypted, neither protobuf nor JSON or CBOR".into()),
            Err(fault) => part.broken(record, format!("once decrypted, {fault}")),
        }
    }

    /// Returns how many values there are of each kind; none if this is not a
    /// store of Kubernetes.
    pub(super) fn findings<L>(
        &self,
        db: &Db<'_>,
        values: &ValueKinds,
        keyspace: &Keyspace<'_, L>,
        findings: &mut Findings,
    ) -> Vec<(&'static str, u64)> {
        let mut covered = kinds(db, values, findings);
        if let Some(keyring) = self.keyring {
            locked::findings(db, self.prefixes, keyring, &values.locked, keyspace, findings);
            if values.opened > 0 {
                covered.push(("opened", values.opened));
            }
        }
        covered
    }
}

fn kinds(db: &Db<'_>, values: &ValueKinds, findings: &mut Findings) -> Vec<(&'static str, u64)> {
    // Someone else's keys may begin with /registry/ as well.
    if !values.has_objects() && values.broken_count == 0 {
        return Vec::new();
    }
    for (list, count, code, expected) in [
        (&values.broken, values.broken_count, "value-broken", "a whole object"),
        (&values.strange, values.strange_count, "value-unknown", "an object as an API server stores it"),
    ] {
        let unkept = count.saturating_sub(list.len() as u64);
        for (index, broken) in list.iter().enumerate() {
            let finding = Finding::new(Grade::Suspicious, Check::Kubernetes, code)
                .at(place(db, broken.offset))
                .of_bucket("key")
                .about(broken.key.clone())
                .because(expected, broken.why.clone());
            findings.count_more(finding, if index == 0 { unkept.saturating_add(1) } else { 1 });
        }
    }
    KINDS.into_iter().zip(values.counts).filter(|(_, count)| *count > 0).collect()
}
