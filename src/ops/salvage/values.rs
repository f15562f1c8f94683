//! Values that were saved and are broken inside: the pages around them say nothing of it.

use std::num::NonZeroUsize;

use crate::bolt::ordered;
use crate::kube::envelope::{Envelope, check_shape};
use crate::kube::object::{self, Object};
use crate::kube::registry_key::{Prefixes, RegistryKey};

use super::found::{Found, Origin, Standing};
use super::report::{Log, Undecodable};

/// What a run of records came to.
#[derive(Default)]
struct Seen {
    objects: u64,
    broken: Log<Undecodable>,
    /// What no server writes for an object.
    strange: Log<Undecodable>,
}

/// Finds the values of Kubernetes' keys among `records` that are no objects. Of records
/// that the tree leads to the frame is looked at, as `verify` does; the others are
/// decoded to the end.
pub(super) fn undecodable(
    records: &[Found],
    file: &[u8],
    prefixes: &Prefixes,
    threads: NonZeroUsize,
) -> Log<Undecodable> {
    const RUN: usize = 4096;
    let runs: Vec<&[Found]> = records.chunks(RUN).collect();
    let mut all = Seen::default();
    let look = |run: &&[Found]| {
        let mut seen = Seen::default();
        run.iter().for_each(|found| seen.look(found, file, prefixes));
        seen
    };
    ordered(&runs, threads, look, |seen: Seen| {
        all.objects = all.objects.saturating_add(seen.objects);
        all.broken.append(seen.broken);
        all.strange.append(seen.strange);
    });
    // Someone else's keys may begin with /registry/ as well.
    if all.objects > 0 {
        all.broken.append(all.strange);
    }
    all.broken
}

impl Seen {
    fn look(&mut self, found: &Found, file: &[u8], prefixes: &Prefixes) {
        let Some(record) = found.record(file).filter(|record| !record.tombstone) else { return };
        if prefixes.strip(record.kv.key).is_none() {
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
                let is_trusted = found.origin == Origin::Tree && found.standing == Standing::Vouched;
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
