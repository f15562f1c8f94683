//! Kept objects that a cluster would delete, or nobody could use, because of what is
//! left out.
//!
//! Two controllers act on what is missing, and both destroy: the volume controller
//! deletes a volume with all its data if its claim is gone and its policy is `Delete`,
//! and empties it if that is `Recycle`; the garbage collector deletes an object if none
//! of its owners is there any more, and then what that one owned, down to the claims of
//! volumes.
//! Source: kubernetes `pkg/controller/volume/persistentvolume/pv_controller.go`,
//! `pkg/controller/garbagecollector/garbagecollector.go`, 1.35.
//!
//! Two more lose what makes them of use: in a namespace without its `Namespace` nothing
//! can be made (admission `NamespaceLifecycle`), and a custom resource without its
//! definition is behind no path of the API. That follows from keys alone.

use std::collections::BTreeMap;

/// An object that stays, and what it needs that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// `pods default/web-1`, `persistentvolumes pv-1`.
    pub object: String,
    /// Its claim (`default/data`), its first owner (`ReplicaSet web`) or what holds it
    /// (`Namespace shop`); empty if the object cannot be read.
    pub needs: String,
}

/// Objects of one kind of concern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConcernLog {
    /// How many there are.
    pub count: u64,
    /// The first thousand, in the order of the file.
    pub first: Vec<Concern>,
}

impl ConcernLog {
    const KEPT: usize = 1000;

    /// Counts one more; what it is, is only asked of the first.
    pub(super) fn push(&mut self, concern: impl FnOnce() -> Concern) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < Self::KEPT {
            self.first.push(concern());
        }
    }
}

/// Objects that stay without the one object that many of them need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bereft {
    /// How many there are.
    pub count: u64,
    /// How many by the name of what they need; of a thousand names.
    pub by_name: BTreeMap<String, u64>,
}

impl Bereft {
    const NAMES: usize = 1000;

    pub(super) fn add(&mut self, name: String, objects: u64) {
        self.count = self.count.saturating_add(objects);
        if self.by_name.len() < Self::NAMES || self.by_name.contains_key(&name) {
            let number = self.by_name.entry(name).or_default();
            *number = number.saturating_add(objects);
        }
    }

    pub(super) fn join(&mut self, later: Self) {
        let named = later.by_name.values().copied().fold(0, u64::saturating_add);
        self.count = self.count.saturating_add(later.count.saturating_sub(named));
        for (name, objects) in later.by_name {
            self.add(name, objects);
        }
    }
}

/// What a cluster would do to objects that stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concerns {
    /// Volumes with policy `Delete` or `Recycle` whose claim goes: left out, deleted
    /// with its lease, or an orphan.
    pub reclaimed: ConcernLog,
    /// Volumes that cannot be read where claims go: each may be one of those.
    pub unreadable_volumes: ConcernLog,
    /// Objects none of whose owners is left, and all that goes with them.
    pub orphans: ConcernLog,
    /// Objects in namespaces whose `Namespace` is left out, by namespace.
    pub without_namespace: Bereft,
    /// Custom resources whose definition is left out, by its name.
    pub without_definition: Bereft,
    /// Objects that could not be looked into, encrypted ones mostly.
    pub unreadable: u64,
}
