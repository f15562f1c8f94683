//! What findings mean, in words for whoever has to decide something.

use etcdsnap::etcd::state::LineEvidence;
use etcdsnap::ops::finding::Finding;

use super::output::text::{harmless_line, safe};

/// Place, key, expectation and finding in one line.
///
/// What was found may quote the file, by way of errors of any library: so all of the line
/// is made harmless here, once more where a part of it is already.
pub(crate) fn line(finding: &Finding) -> String {
    harmless_line(&told(finding)).into_owned()
}

fn told(finding: &Finding) -> String {
    let mut parts = Vec::new();
    if let Some(bucket) = &finding.bucket {
        parts.push(format!("bucket {bucket}"));
    }
    let place = finding.place.to_string();
    if !place.is_empty() {
        parts.push(place);
    }
    if let Some(key) = &finding.key {
        let key = if finding.code == "record-unreadable" || finding.bucket.as_deref() == Some("lease") {
            key.to_string()
        } else {
            format!("{}{}", safe(&key.bytes), if key.cut { "..." } else { "" })
        };
        parts.push(format!("key {key}"));
    }
    let place = parts.join(", ");
    let separator = if place.is_empty() { "" } else { ": " };
    match (finding.expected.is_empty(), finding.found.is_empty()) {
        (false, false) => format!("{place}{separator}expected {}, found {}", finding.expected, finding.found),
        _ => place,
    }
}

/// What to do about a damaged tree.
const TREE_ADVICE: &str = "Use another copy or another backup; --skip-damaged reads the rest, `etcdsnap salvage FILE OUT.db` makes a clean snapshot of it.";

/// What to do about a list of members that is not raft's.
const MEMBERS_ADVICE: &str = "For a restore: nothing. A running cluster: upgrade it to 3.5.26 or later, which clears the list, before it goes to 3.6; compare `etcdctl member list` with the members that you have.";

/// What a kind of finding means, and what to do about it.
pub(crate) fn meaning(code: &str) -> (&'static str, Option<&'static str>) {
    match code {
        "empty-file" => (
            "The backup that made this file failed before it wrote anything.",
            Some("Use another backup, and look at the job that made this one."),
        ),
        "file-too-short" | "not-a-database" => (
            "This is no etcd snapshot, or its beginning is lost.",
            Some("Check that this is the right file and that it was copied or downloaded whole."),
        ),
        "both-metas-unusable" => (
            "Both copies of the page that leads to everything else are damaged.",
            Some("Use another copy of this backup; if there is none, `etcdsnap salvage FILE OUT.db`."),
        ),
        "big-endian" => (
            "bbolt keeps the byte order of the machine that wrote the file (s390x, say).",
            Some("Check and restore it on such a machine with etcd's own tools."),
        ),
        "truncated" => (
            "The end of the file is missing: a download or copy that was cut off, or a full disk.",
            Some(
                "Copy the file again from where it was made; what is cut off cannot be brought back, the rest can: `etcdsnap salvage FILE OUT.db`.",
            ),
        ),
        "length" => (
            "The pages do not end where the digest begins: the file was changed after it was saved.",
            Some("Use another copy if there is one."),
        ),
        "digest-absent" => (
            "A copy of a member's db file has no digest, so changed bytes inside values cannot be noticed. All else is checked.",
            Some(
                "Restore it with --skip-hash-check. For backups prefer `etcdctl snapshot save`, which adds a digest.",
            ),
        ),
        "digest-lost" => (
            "The file looks like a snapshot whose last 32 bytes were cut off. A snapshot that a member received from its leader (…snap.db) looks the same and is whole.",
            Some(
                "If this came from `etcdctl snapshot save`, copy it again; if all else is sound, --skip-hash-check restores it.",
            ),
        ),
        "digest-cut" => (
            "There are some bytes behind the pages, but no whole digest.",
            Some("Copy the file again from where it was made."),
        ),
        "digest-differs" => (
            "The file is not what etcd saved: bytes were changed, by a bad disk, a bad copy or on purpose.",
            Some("Use another copy, or another backup. What the other checks found sound can be read."),
        ),
        "digest-stale" => (
            "A tool opened the file for writing after it was saved (etcd-dump-db, `etcdutl hashkv`, defrag or migrate do) and committed. The content is usually as good as before.",
            Some(
                "If you know which tool it was and the other checks are sound, restore with --skip-hash-check.",
            ),
        ),
        "meta-impossible" => (
            "A copy of the first page has the right checksum and says what cannot be; etcd would use it and crash.",
            Some("Use another copy of this backup; a restore writes both metas anew."),
        ),
        "meta-header" => (
            "The page of a meta has the wrong number or kind: bbolt looks at both and crashes.",
            Some("Use another copy of this backup; a restore writes both metas anew."),
        ),
        "meta-unusable" => (
            "One of the two copies of the first page is damaged. All is read by way of the other one, as etcd does, which opens such a file without a word.",
            Some("Prefer a copy in which both are whole, if there is one; a restore writes both anew."),
        ),
        "page-beyond-file" => (
            "A part of the database lies behind the end of the file.",
            Some("Copy the file again; see `truncated`."),
        ),
        "reference-out-of-range"
        | "page-id"
        | "page-type"
        | "overflow-out-of-range"
        | "multiple-references"
        | "empty-branch"
        | "element-table-too-long"
        | "too-deep" => (
            "A page of the tree is damaged, and the keys below it cannot be read. etcd would crash on it or serve without them. A bad disk or a copy made while etcd wrote to the file does that.",
            Some(TREE_ADVICE),
        ),
        "element-outside-page" | "key-size" | "elements-too-large" | "bucket-header" | "inline-bucket" => {
            ("An entry points out of its page and cannot be read.", Some(TREE_ADVICE))
        }
        "key-order" | "key-below-parent" | "key-above-parent" => (
            "Keys are not where etcd looks for them: it would not find them, or find wrong ones.",
            Some("Use another copy or another backup."),
        ),
        "empty-leaf" | "elements-overlap" | "element-flags" | "uneven-depth" | "bucket-in-inline-bucket" => (
            "bbolt never writes this: something else has changed the file.",
            Some("Prefer another copy if there is one."),
        ),
        "not-a-bucket" => (
            "Where the buckets are listed there is something else: the list was overwritten, or a page of another tree is taken for it. The buckets that are not listed cannot be read.",
            Some(TREE_ADVICE),
        ),
        "elements-hidden" => (
            "The page's header says that nothing is on it, and there is: all its entries are lost to every reader.",
            Some("Use another copy. If there is none, `etcdsnap salvage FILE OUT.db` finds what is left."),
        ),
        "elements-apart" | "inline-slack" | "data-behind" => (
            "Bytes that belong to no entry, where bbolt leaves none: entries may be missing, or cut short.",
            Some("Use another copy. If there is none, `etcdsnap carve` shows what such bytes hold."),
        ),
        "overflow-unused" => (
            "The page's header claims more pages than its entries take, where bbolt counts them to the page: the header was changed. Nothing on the page is missing by that.",
            Some("Prefer another copy, if there is one."),
        ),
        "not-a-freelist" | "freelist-too-long" => (
            "The list of free pages is damaged, and etcd would crash on it at start.",
            Some("A restore does not need the list; restore from another copy if there is one."),
        ),
        "free-out-of-range"
        | "freed-twice"
        | "freelist-order"
        | "reachable-freed"
        | "unreachable-unfreed" => (
            "The list of free pages contradicts the tree: etcd could overwrite data in use. etcd since 3.3 stores no such list.",
            Some(
                "Do not start etcd on the file itself. A restore drops the list, and `etcdsnap repack` and `etcdutl defrag` write the file without.",
            ),
        ),
        "unknown-bucket" => (
            "A bucket that etcd 3.4 to 3.7 do not have: of a newer etcd, or not of etcd at all. It is kept as it is.",
            None,
        ),
        "storage-version-unknown" => (
            "A newer etcd than 3.7 wrote this. What is read here holds for all lines so far; etcd 3.6 and 3.7 would refuse to start on it.",
            Some(
                "Restore it with the tools of the etcd that wrote it, or downgrade that cluster before it is backed up.",
            ),
        ),
        "missing-bucket" => (
            "etcd makes this bucket before it keeps anything: without it no etcd has ever started on this database, it is not of etcd, or the bucket's name is damaged.",
            None,
        ),
        "entry" => (
            "An entry of a small bucket is not what etcd keeps there; etcd may refuse to start on it.",
            Some("Prefer another copy if there is one."),
        ),
        "record-unreadable" => (
            "A record of a key's history cannot be read; etcd crashes on such a record at start. A copy made while etcd wrote to the file may look like that.",
            Some("Use another copy or another backup; back a running etcd up with `etcdctl snapshot save`."),
        ),
        "revision-gap" | "sub-revision-gap" | "nothing-to-update" | "nothing-to-delete" => (
            "Records are missing from the history above the compact revision, where etcd never drops any: of a copy that was made while etcd wrote to the file, say, or of pages that were lost.",
            Some(
                "Keys may have vanished or show an old value. Use another copy or another backup; back a running etcd up with `etcdctl snapshot save`.",
            ),
        ),
        "newest-unreached" => (
            "The latest writes are not in what is read: what led to them is damaged, a meta of the file for the most part, and etcd would start without them. They are still in the file.",
            Some(
                "Use another member's database, or another copy of this one. If there is none, `etcdsnap salvage FILE OUT.db` looks for them.",
            ),
        ),
        "deletion-unmarked" => (
            "A deletion has lost its mark: etcd would serve the key as alive, with an empty value, and an API server would fail to list the type of such an object.",
            Some("Use another copy or another backup."),
        ),
        "write-marked-deleted" => (
            "A write carries the mark of a deletion: etcd would take the key for deleted, and its last value is lost to it.",
            Some("Use another copy or another backup."),
        ),
        "mod-revision"
        | "create-revision"
        | "version"
        | "first-version"
        | "tombstone-content"
        | "record-form"
        | "empty-key"
        | "revision-repeated"
        | "version-step"
        | "create-revision-changed"
        | "born-twice" => (
            "A record contradicts the rules that etcd's history obeys: it was changed after it was written, or written by a faulty etcd.",
            Some("Compare it with another member's snapshot (`etcdsnap hashkv A B`)."),
        ),
        "record-unknown-field" => (
            "Records have fields that etcd 3.4 to 3.7 do not have: written by a newer etcd, as the storage version says, or damaged.",
            Some("Check it with the tools of the etcd that wrote it; restore it with these."),
        ),
        "compaction-unfinished" => {
            ("A compaction was asked for and not finished; etcd finishes it at its next start.", None)
        }
        "compaction-out-of-order" => (
            "etcd writes down that a compaction is asked for, then that it is done; one of the two numbers was changed since. Up to which revision the history is complete is not known.",
            Some("Prefer another copy, or another backup."),
        ),
        "restored-with-bump" => (
            "A restore with a bumped revision wrote this, and no etcd has started on it; the first start compacts all that is older than the mark.",
            None,
        ),
        "restored-without-bump" => (
            "A restore without a bumped revision wrote this, and no etcd has started on it. Its revision is that of the snapshot: clients that watch, such as API servers and controllers, have seen later ones and would keep what they remember.",
            Some(
                "Restore the snapshot again with --bump-revision auto (upstream: --bump-revision 1000000000 --mark-compacted, from 3.4.27 and 3.5.10 on), or restart all such clients after etcd is up.",
            ),
        ),
        "compacted-beyond-last-record" => (
            "Between the last record and the compact revision there is none. If a compaction dropped them all, as deletions and what they had deleted, nothing alive is missing, and a watch from that revision on misses a deletion; `salvage`, and a `repack` or `restore` that leaves keys out, may leave the same. But had these records been lost, or the compact revision been changed, the file would look no different.",
            Some(
                "If so many changes without one key left cannot be, compare with another member or another backup (`etcdsnap hashkv A B`). If they can, nothing needs to be done about this file. Run 3.4.34, 3.5.16 or later, which keep the last deletion.",
            ),
        ),
        "compaction-dropped-deletion" => (
            "A compaction dropped a deletion at its own revision. Nothing alive is missing; a watch from that revision on misses the deletion. `salvage`, and a `repack` or `restore` that leaves keys out, may leave the same.",
            Some("Run 3.4.34, 3.5.16 or later. Nothing needs to be done about this file."),
        ),
        "revision-goes-back" => (
            "A compaction dropped the last record and was cut short. An etcd with the fault starts with the revision of the record before, and gives revisions out a second time: clients that watch never notice what changed.",
            Some(
                "Start 3.4.32, 3.5.14 or later on it, which take the revision of the compaction; or restore with --bump-revision auto.",
            ),
        ),
        "lease-unreadable" => (
            "A lease cannot be read; etcd would crash on it or keep its keys for ever. No release writes such a thing: something else has changed the file.",
            Some(
                "Prefer another copy if there is one; `etcdsnap repack --detach-leases` writes it without leases.",
            ),
        ),
        "lease-missing" => (
            "The key is attached to a lease that is not there and will never expire. etcd logs `failed to attach a lease` at start and goes on.",
            Some(
                "Delete the key if it should have expired; `--detach-leases` of `repack` and `restore` takes the lease off.",
            ),
        ),
        "alarm-nospace" => (
            "The database had reached its quota. The restored cluster would still refuse writes.",
            Some(
                "After the restore: raise the quota or compact and defragment, then `etcdctl alarm disarm`.",
            ),
        ),
        "alarm-corrupt" => (
            "Members had disagreed about the data. The restored cluster would still refuse requests.",
            Some(
                "Compare the snapshots of all members (`etcdsnap hashkv A B C`) and restore from the right one; then `etcdctl alarm disarm`.",
            ),
        ),
        "alarm-unknown" => ("An alarm that etcd up to 3.7 does not know.", None),
        "auth-without-root" => (
            "Authentication is on and nobody can administrate it: the restored cluster could not be managed. No release lets it come to that: something else has changed the file.",
            Some("Restore with --reset-root-password or --disable-auth, or from another backup."),
        ),
        "role-missing" => (
            "A user has a role that does not exist; it grants nothing.",
            Some(
                "After the restore grant the user a role that exists, or take it off: `etcdctl user revoke-role`.",
            ),
        ),
        "zombie-member" | "member-not-in-raft" | "voter-without-member" => (
            "The old cluster's list of members was not what raft had. etcd 3.6 and later believe the list: members that are long gone would come back and count for the quorum. A restore writes new members and heals it.",
            Some(MEMBERS_ADVICE),
        ),
        "stray-learner" => (
            "The old cluster's list has a learner that raft does not have, as after --force-new-cluster. A restore writes new members and heals it.",
            Some(
                "For a restore: nothing. A running cluster: `etcdctl member remove` the learner, with 3.5.25, 3.6.6 or later.",
            ),
        ),
        "member-name-shared" | "peer-url-shared" => (
            "Two members of the old cluster claim the same name or address: one of them is a leftover. A restore heals it.",
            Some(MEMBERS_ADVICE),
        ),
        "learner-not-promoted" => (
            "A promoted learner is still a learner in the list; raft has it as a voter. etcd 3.7 goes by the list and would take its vote away. A restore writes new members and heals it.",
            Some(
                "For a restore: nothing. A running cluster: upgrade it to 3.5.24 or later, then to 3.6, which repairs the list; not to 3.7 before `etcdctl member list` says that it is a learner no more.",
            ),
        ),
        "learner-promoted-silently" => (
            "A learner became a voter in the list, without being promoted: its peer URLs were updated. etcd 3.7 goes by the list and would give it a vote. A restore writes new members and heals it.",
            Some(
                "For a restore: nothing. A running cluster: upgrade it to 3.5.31, 3.6.12 or later; promote the member (`etcdctl member promote`), or remove it and add it again as a learner.",
            ),
        ),
        "conf-state-stale" => (
            "This cluster was restored from a snapshot before: raft's entry still names the cluster before that one. Harmless.",
            None,
        ),
        "value-broken" => (
            "A stored Kubernetes object cannot be decoded; an API server fails to list its whole type.",
            Some("Prefer another copy if there is one; find the object with `etcdsnap value FILE KEY`."),
        ),
        "value-locked" => (
            "An API server that has this key file cannot read the object, nor list its type.",
            Some(
                "Look for the key file that the cluster had; `etcdsnap encryption FILE --encryption-config KEYS` counts what opens.",
            ),
        ),
        "value-locked-by-kms" => (
            "The key of the object is held by a key management service; whether it is still there cannot be told offline.",
            Some("Before you rely on this backup, make sure that the service has the key."),
        ),
        "old-value-locked" => (
            "An older revision of an object is encrypted with a key that the file does not have. Nobody reads it after a restore.",
            None,
        ),
        "value-unknown" => ("Under a Kubernetes key there is something that no API server writes.", None),
        _ => ("", None),
    }
}

/// How the version is known, in words.
pub(crate) fn evidence(evidence: LineEvidence) -> &'static str {
    match evidence {
        LineEvidence::StorageVersion => "by its storage version",
        LineEvidence::TermOrConfState => "by the term or confState in it, which 3.5 brought",
        LineEvidence::Absence => "as it has neither term nor confState; 3.4 or older",
    }
}
