//! What a garbage collector would delete: objects none of whose owners is left, what
//! those own, and what is in a namespace or of a type that goes with them.
//!
//! An owner that was not there before does not keep an object, but it alone is no
//! reason either: the cluster that was saved lived with it.
//! Source: kubernetes `pkg/controller/garbagecollector/garbagecollector.go`
//! (`attemptToDeleteItem`), 1.35.

use crate::bolt::FileOffset;

/// An object, and what it depends on, by hashes.
#[derive(Debug)]
pub(super) struct Dependent {
    pub(super) offset: FileOffset,
    pub(super) uid: Option<u64>,
    /// The UIDs of its owners: it goes with the last.
    pub(super) owners: Vec<u64>,
    /// What it is to others that are in it.
    pub(super) holds: Option<u64>,
    /// What it is in: it goes with any.
    pub(super) held_by: Vec<u64>,
}

/// Of an object what the search needs.
#[derive(Debug)]
struct Node {
    offset: FileOffset,
    uid: Option<u64>,
    holds: Option<u64>,
    /// Owners that are there.
    owners: u32,
    goes: bool,
}

/// Who of many objects depends on whom: 48 bytes for each that depends on another, 16
/// for each owner, 8 for each object.
#[derive(Debug, Default)]
pub(super) struct Dependents {
    uids: Vec<u64>,
    nodes: Vec<Node>,
    /// An owner, and the number of an object that it owns.
    owned: Vec<(u64, usize)>,
    /// What holds others, and the number of one of them.
    held: Vec<(u64, usize)>,
}

impl Dependents {
    pub(super) fn add(&mut self, dependent: Dependent) {
        let Dependent { offset, uid, owners, holds, held_by } = dependent;
        self.uids.extend(uid);
        if owners.is_empty() && held_by.is_empty() {
            return;
        }
        let number = self.nodes.len();
        self.nodes.push(Node { offset, uid, holds, owners: 0, goes: false });
        self.owned.extend(owners.into_iter().map(|owner| (owner, number)));
        self.held.extend(held_by.into_iter().map(|holder| (holder, number)));
    }

    pub(super) fn join(&mut self, later: Self) {
        let before = self.nodes.len();
        let moved = |(on, number): (u64, usize)| (on, number.saturating_add(before));
        self.uids.extend(later.uids);
        self.nodes.extend(later.nodes);
        self.owned.extend(later.owned.into_iter().map(moved));
        self.held.extend(later.held.into_iter().map(moved));
    }

    /// The objects that go if those of the UIDs `lost` are gone, in the order of the
    /// file.
    pub(super) fn without(&mut self, lost: &[u64]) -> Vec<FileOffset> {
        self.uids.sort_unstable();
        self.owned.sort_unstable();
        self.held.sort_unstable();
        for (owner, number) in &self.owned {
            if self.uids.binary_search(owner).is_ok()
                && let Some(node) = self.nodes.get_mut(*number)
            {
                node.owners = node.owners.saturating_add(1);
            }
        }
        let mut going = Vec::new();
        for uid in lost {
            for (_, number) in on(&self.owned, *uid) {
                let is_alone = self.nodes.get(*number).is_some_and(|node| node.owners == 0);
                going.extend(is_alone.then_some(*number));
            }
        }
        let mut all = Vec::new();
        while let Some(number) = going.pop() {
            let Some(node) = self.nodes.get_mut(number).filter(|node| !node.goes) else { continue };
            node.goes = true;
            all.push(node.offset);
            let (uid, holds) = (node.uid, node.holds);
            for (_, owned) in uid.map(|uid| on(&self.owned, uid)).unwrap_or_default() {
                if let Some(node) = self.nodes.get_mut(*owned) {
                    node.owners = node.owners.saturating_sub(1);
                    going.extend((node.owners == 0).then_some(*owned));
                }
            }
            let held = holds.map(|holds| on(&self.held, holds)).unwrap_or_default();
            going.extend(held.iter().map(|(_, number)| *number));
        }
        all.sort_unstable();
        all
    }
}

/// The part of `sorted` that is about `what`.
fn on(sorted: &[(u64, usize)], what: u64) -> &[(u64, usize)] {
    let start = sorted.partition_point(|(on, _)| *on < what);
    let rest = sorted.get(start..).unwrap_or_default();
    let end = rest.partition_point(|(on, _)| *on == what);
    rest.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependents(objects: &[(u64, &[u64])]) -> Dependents {
        let mut all = Dependents::default();
        for (uid, owners) in objects {
            // Each from a part of its own.
            let mut part = Dependents::default();
            let (offset, owners) = (FileOffset(*uid), owners.to_vec());
            part.add(Dependent { offset, uid: Some(*uid), owners, holds: None, held_by: Vec::new() });
            all.join(part);
        }
        all
    }

    #[track_caller]
    fn check(objects: &[(u64, &[u64])], lost: &[u64], expected: &[u64]) {
        let found = dependents(objects).without(lost);
        assert_eq!(found.iter().map(|offset| offset.0).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_owned_goes_with_its_last_owner() {
        // 1 is lost; 2 and 3 are owned by it, 4 by 3, 5 by 3 and 9, which stays.
        let objects: &[(u64, &[u64])] = &[(2, &[1]), (3, &[1]), (4, &[3]), (5, &[3, 9]), (9, &[])];
        check(objects, &[1], &[2, 3, 4]);
        check(objects, &[7], &[]);
        // 9 was never there.
        check(&objects[..4], &[1], &[2, 3, 4, 5]);
        // Named twice, it is there twice and goes twice.
        check(&[(2, &[1]), (3, &[2, 2])], &[1], &[2, 3]);
    }

    #[test]
    fn owners_that_never_were_are_no_reason() {
        check(&[(2, &[8]), (3, &[8, 7])], &[1], &[]);
    }

    #[test]
    fn who_owns_each_other_stays_and_a_chain_ends() {
        check(&[(2, &[3]), (3, &[2])], &[1], &[]);
        check(&[(2, &[1]), (3, &[2]), (4, &[3, 4])], &[1], &[2, 3]);
        let chain: Vec<(u64, [u64; 1])> = (2..10_000).map(|uid| (uid, [uid - 1])).collect();
        let chain: Vec<(u64, &[u64])> = chain.iter().map(|(uid, owner)| (*uid, &owner[..])).collect();
        check(&chain, &[1], &(2..10_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_in_a_namespace_goes_with_it() {
        let mut all = dependents(&[(9, &[])]);
        let namespace = Dependent {
            offset: FileOffset(2),
            uid: Some(2),
            owners: vec![1],
            holds: Some(100),
            held_by: Vec::new(),
        };
        all.add(namespace);
        for (uid, held_by) in [(3, 100), (4, 101)] {
            let offset = FileOffset(uid);
            let held_by = vec![held_by];
            all.add(Dependent { offset, uid: Some(uid), owners: vec![9], holds: None, held_by });
        }
        all.add(Dependent {
            offset: FileOffset(5),
            uid: Some(5),
            owners: vec![3],
            holds: None,
            held_by: Vec::new(),
        });
        assert_eq!(all.without(&[1]), [2, 3, 5].map(FileOffset));
    }
}
