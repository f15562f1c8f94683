//! Values that were saved and are broken inside, of which the pages around them say
//! nothing; and the leases that keys are attached to.

use std::num::NonZeroUsize;

use crate::bolt::ordered;
use crate::kube::envelope::{Envelope, check_shape};
use crate::kube::object::{self, Object};
use crate::kube::registry_key::{Prefixes, RegistryKey};

use super::facts::{Frame, Look};
use super::found::{Found, Origin, Standing};
use super::report::{Log, Undecodable};

/// What is in the records.
#[derive(Default)]
pub(super) struct Values {
    /// Values of Kubernetes' keys that are no objects.
    pub(super) undecodable: Log<Undecodable>,
    /// Leases that live keys are attached to, in order.
    pub(super) leases: Vec<i64>,
}

/// What a run of records came to.
#[derive(Default)]
struct Seen {
    objects: u64,
    broken: Log<Undecodable>,
    /// What no server writes for an object.
    strange: Log<Undecodable>,
    leases: Vec<i64>,
}

impl Values {
    /// Reads those of `records`. Of such that the tree leads to the frame is looked at, as
    /// `verify` does, which was done when they were met; the others are decoded to the end.
    pub(super) fn read(records: &[Found], look: &Look<'_>, threads: NonZeroUsize) -> Self {
        let Look { file, prefixes, .. } = *look;
        const RUN: usize = 4096;
        let runs: Vec<&[Found]> = records.chunks(RUN).collect();
        let mut all = Seen::default();
        let read = |run: &&[Found]| {
            let mut seen = Seen::default();
            run.iter().for_each(|found| seen.look(found, file, prefixes));
            seen.leases.sort_unstable();
            seen.leases.dedup();
            seen
        };
        ordered(&runs, threads, read, |mut seen: Seen| {
            all.objects = all.objects.saturating_add(seen.objects);
            all.broken.append(seen.broken);
            all.strange.append(seen.strange);
            all.leases.append(&mut seen.leases);
        });
        // Someone else's keys may begin with /registry/ as well.
        if all.objects > 0 {
            all.broken.append(all.strange);
        }
        all.leases.sort_unstable();
        all.leases.dedup();
        Self { undecodable: all.broken, leases: all.leases }
    }
}

impl Seen {
    fn look(&mut self, found: &Found, file: &[u8], prefixes: &Prefixes) {
        let is_trusted = found.origin == Origin::Tree && found.standing == Standing::Vouched;
        let is_known = is_trusted && found.facts.frame != Frame::Strange;
        if is_known {
            self.objects = self.objects.saturating_add(u64::from(found.facts.frame == Frame::Object));
        }
        if is_known && !(found.latest && found.facts.leased) {
            return;
        }
        let Some(record) = found.record(file).filter(|record| !record.tombstone) else { return };
        if found.latest && record.kv.lease != 0 {
            self.leases.push(record.kv.lease);
        }
        if is_known || prefixes.strip(record.kv.key).is_none() {
            return;
        }
        let told = |why: String| Undecodable { named: found.named(file), why, latest: found.latest };
        let envelope = match Envelope::parse(record.kv.value) {
            Ok(envelope) => envelope,
            Err(fault) => return self.broken.push(told(fault.to_string())),
        };
        if let Err(fault) = check_shape(&envelope) {
            return self.broken.push(told(fault.to_string()));
        }
        let is_object = || matches!(RegistryKey::parse(record.kv.key, prefixes), RegistryKey::Object(_));
        match envelope {
            Envelope::Protobuf(_) | Envelope::Json(_) | Envelope::Cbor(_) => {
                self.objects = self.objects.saturating_add(1);
                if is_trusted || !is_object() {
                    return;
                }
                match Object::decode(record.kv.value, &object::Options::default()) {
                    // Of a kind that no table has nothing can be said.
                    Ok(_) | Err(object::Undecodable::UnknownKind { .. }) => {}
                    Err(fault) => self.broken.push(told(fault.to_string())),
                }
            }
            Envelope::Encrypted(_) => self.objects = self.objects.saturating_add(1),
            Envelope::Empty if is_object() => self.strange.push(told("no value".to_owned())),
            _ if is_object() => {
                let why = "neither protobuf nor JSON, CBOR or an encrypted value";
                self.strange.push(told(why.to_owned()));
            }
            _ => {}
        }
    }
}
