//! Entries that can be read and are not what etcd writes: records and small buckets.

use super::*;

fn record(main: i64, kv: Put<'_>) -> Entry {
    entry(revision(main, 0), kv.to_bytes())
}

fn write(main: i64) -> Put<'static> {
    Put { key: b"new", create: main, modified: main, version: 1, value: b"v", lease: 0 }
}

/// Index of the record with main revision `main`.
fn of(main: usize) -> usize {
    main - 2
}

content! {
    a_record_under_a_short_key |s| { s.key[of(31)].key.pop(); } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_record_under_a_long_key |s| { s.key[of(31)].key.extend(b"tt"); } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_record_with_another_separator |s| { s.key[of(31)].key[8] = b'-'; } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_record_with_another_mark |s| { s.key[of(31)].key.push(b'd'); } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_record_with_a_negative_revision |s| {
        let last = s.key.len() - 1;
        s.key[last].key[0] = 0x80;
    } => ["data-lost history/record-unreadable page 12"];
    a_value_that_is_no_message |s| { s.key[of(31)].value = b"\x0a\xffjunk".to_vec(); } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_value_with_its_key_twice |s| {
        let again = message(&[(1, Err(b"other"))]);
        s.key[of(31)].value.extend(again);
    } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_value_with_fields_nobody_knows |s| {
        let more = message(&[(9, Ok(1)), (100, Err(b"more"))]);
        s.key[of(31)].value.extend(more);
    } => ["suspicious history/record-form page 7"];
    another_mod_revision_inside |s| { s.key[of(31)] = put("k01", 31, 11, 3); s.key[of(31)].value[8] ^= 1; } => ["suspicious history/mod-revision page 7"];
    a_revision_missing_above_the_compact_revision |s| { s.key.remove(of(31)); } => [
        "data-lost history/revision-gap page 7",
    ];
    the_first_revision_above_the_compact_revision_missing |s| { s.key.remove(of(6)); } => [        "data-lost history/revision-gap page 2",
    ];
    a_revision_missing_below_the_compact_revision |s| { s.key.remove(of(4)); } => ["data-lost history/nothing-to-update page 4"];
    a_change_missing_inside_a_transaction |s| {
        s.key.push(record(62, write(62)));
        s.key.push(Entry { key: revision(62, 2), ..put("l", 62, 62, 1) });
    } => ["data-lost history/sub-revision-gap page 12"];
    a_revision_both_as_write_and_deletion |s| { s.key.push(deletion("k01", 61)); } => ["suspicious history/revision-repeated page 12"];
    a_version_that_skips_one |s| { s.key.push(put("k01", 62, 11, 8)); } => ["suspicious history/version-step page 12"];
    a_version_below_one |s| { s.key.push(record(62, Put { version: 0, ..write(62) })); } => ["suspicious history/version page 12"];
    a_version_greater_than_its_age |s| { s.key.push(record(62, Put { create: 61, version: 5, ..write(62) })); } => [
        "data-lost history/nothing-to-update page 12",
        "suspicious history/version page 12",
    ];
    a_create_revision_in_the_future |s| { s.key.push(record(62, Put { create: 63, ..write(62) })); } => ["suspicious history/create-revision page 12"];
    a_create_revision_that_changed |s| { s.key.push(put("k01", 62, 21, 7)); } => ["suspicious history/create-revision-changed page 12"];
    a_first_version_of_an_older_life |s| { s.key.push(record(62, Put { create: 61, ..write(62) })); } => ["suspicious history/first-version page 12"];
    a_key_born_twice |s| { s.key.push(put("k01", 62, 62, 1)); } => ["suspicious history/born-twice page 12"];
    an_update_of_nothing |s| { s.key.push(put("new", 62, 50, 2)); } => ["data-lost history/nothing-to-update page 12"];
    a_deletion_of_nothing |s| { s.key.push(deletion("new", 62)); } => ["data-lost history/nothing-to-delete page 12"];
    a_deletion_with_a_value |s| {
        let kv = Put { create: 0, modified: 0, version: 0, key: b"k01", ..write(62) };
        s.key.push(Entry { key: deletion("k01", 62).key, ..record(62, kv) });
    } => ["suspicious history/tombstone-content page 12"];
    a_deletion_that_lost_its_mark |s| { s.key.push(Entry { key: revision(62, 0), ..deletion("k01", 62) }); } => ["data-lost history/deletion-unmarked page 12"];
    a_deletion_that_lost_its_mark_and_the_key_born_again |s| {
        s.key.push(Entry { key: revision(62, 0), ..deletion("k01", 62) });
        s.key.push(put("k01", 63, 63, 1));
    } => ["data-lost history/deletion-unmarked page 12"];
    a_write_with_the_mark_of_a_deletion |s| {
        let key = deletion("new", 62).key;
        s.key.push(Entry { key, ..record(62, write(62)) });
    } => [
        "data-lost history/nothing-to-delete page 12",
        "data-lost history/write-marked-deleted page 12",
    ];
    a_record_with_a_field_that_etcd_does_not_have |s| {
        // The tag of field 5, the value, turned into that of field 7 by one bit.
        let mut changed = put("new", 62, 62, 1);
        let tag = changed.value.iter().position(|byte| *byte == 0x2a).expect("a value");
        changed.value[tag] ^= 0x10;
        s.key.push(changed);
    } => ["suspicious history/record-form page 12"];
    fields_of_a_newer_etcd |s| {
        *s.value("meta", "storageVersion") = b"3.8.0".to_vec();
        for key in [31, 32] {
            let more = message(&[(7, Ok(1)), (100, Err(b"more"))]);
            s.key[of(key)].value.extend(more);
        }
    } => ["note schema/storage-version-unknown", "note history/record-unknown-field x2 page 7"];
    fields_of_a_newer_etcd_in_the_wrong_order |s| {
        *s.value("meta", "storageVersion") = b"3.8.0".to_vec();
        let more = [message(&[(8, Ok(1))]), message(&[(7, Ok(1))])].concat();
        s.key[of(31)].value.extend(more);
    } => ["suspicious history/record-form page 7", "note schema/storage-version-unknown"];
    a_write_under_no_key |s| { s.key.push(record(62, Put { key: b"", ..write(62) })); } => ["suspicious history/empty-key page 12"];
    the_record_of_a_bumped_restore |s| { s.key.push(entry(revision(900, 0), "")); } => [];
    a_nested_bucket_among_the_records |s| {
        s.key.push(bucket(revision(62, 0), inline_bucket(&[entry("a", "b")])));
    } => ["data-lost history/record-unreadable page 12"];

    a_lease_under_a_short_key |s| { s.of("lease")[0].key.pop(); } => ["suspicious leases/lease-unreadable page 18"];
    a_lease_under_anothers_id |s| { s.of("lease")[0].key[7] ^= 1; } => ["suspicious leases/lease-unreadable page 18"];
    a_lease_without_time |s| { s.of("lease")[0].value = message(&[(1, Ok(77))]); } => ["suspicious leases/lease-unreadable page 18"];
    a_lease_that_is_no_message |s| { s.of("lease")[0].value = vec![0xFF]; } => ["suspicious leases/lease-unreadable page 18"];
    a_key_under_a_lease_that_is_not_there |s| { s.key.push(leased("new", 62, 62, 1, 78)); } => ["note leases/lease-missing page 12"];
    a_lease_without_keys |s| { s.of("lease").push(store::lease(78)); } => [];
    an_alarm_for_lack_of_space |s| { s.of("alarm").push(entry(message(&[(1, Ok(1)), (2, Ok(1))]), "")); } => ["note alarms/alarm-nospace"];
    an_alarm_for_corruption |s| { s.of("alarm").push(entry(message(&[(2, Ok(2))]), "")); } => ["note alarms/alarm-corrupt"];
    an_alarm_that_nobody_knows |s| { s.of("alarm").push(entry(message(&[(2, Ok(9))]), "")); } => ["note alarms/alarm-unknown"];
    an_alarm_that_is_no_message |s| { s.of("alarm").push(entry([0xFF], "")); } => ["suspicious schema/entry page 18"];
    authentication_without_root |s| { *s.value("auth", "authEnabled") = vec![1]; } => ["suspicious auth/auth-without-root"];
    authentication_with_root |s| {
        *s.value("auth", "authEnabled") = vec![1];
        s.of("authUsers").push(entry("root", message(&[(1, Err(b"root")), (3, Err(b"root"))])));
    } => [];
    a_user_with_a_role_that_is_not_there |s| {
        s.of("authUsers").push(entry("bob", message(&[(1, Err(b"bob")), (3, Err(b"reader"))])));
    } => ["note auth/role-missing"];
    a_user_under_another_name |s| { s.of("authUsers").push(entry("bob", message(&[(1, Err(b"rob"))]))); } => ["suspicious schema/entry page 18"];
    a_role_that_is_no_message |s| { s.of("authRoles").push(entry("r", [0x12, 0x09])); } => ["suspicious schema/entry page 18"];
    a_flag_that_is_no_flag |s| { *s.value("auth", "authEnabled") = vec![2]; } => ["suspicious schema/entry page 18"];

    a_member_that_was_removed |s| { s.of("members_removed").insert(0, entry("3", "removed")); } => ["note membership/zombie-member"];
    a_removed_member_with_another_mark |s| { s.of("members_removed")[0].value = b"gone".to_vec(); } => ["suspicious schema/entry page 18"];
    a_learner_that_votes |s| { s.of("members")[2] = member(3, "c", true); } => ["note membership/learner-not-promoted"];
    a_voter_that_learns |s| {
        *s.value("meta", "confState") = b"{\"voters\":[1,2],\"learners\":[3],\"auto_leave\":false}".to_vec();
    } => ["note membership/learner-promoted-silently"];
    two_members_of_one_name |s| { s.of("members")[2] = member(3, "a", false); } => ["note membership/member-name-shared"];
    a_member_that_raft_does_not_know |s| { s.of("members").push(member(5, "d", false)); } => ["note membership/member-not-in-raft"];
    a_voter_that_is_no_member |s| { s.of("members").pop(); } => ["note membership/voter-without-member"];
    a_conf_state_of_an_earlier_cluster |s| {
        *s.value("meta", "confState") = b"{\"voters\":[11,12],\"auto_leave\":false}".to_vec();
    } => ["note membership/conf-state-stale"];
    a_conf_state_that_is_no_json |s| { *s.value("meta", "confState") = b"{\"voters\":[".to_vec(); } => ["suspicious schema/entry page 18"];
    a_member_that_is_no_json |s| { s.of("members")[1].value = b"{".to_vec(); } => [
        "suspicious schema/entry page 18",
        "note membership/voter-without-member",
    ];
    a_member_under_anothers_key |s| { s.of("members")[1].key = b"2f".to_vec(); } => [
        "suspicious schema/entry page 18",
        "note membership/voter-without-member",
    ];
    a_consistent_index_of_seven_bytes |s| { s.value("meta", "consistent_index").pop(); } => ["suspicious schema/entry page 18"];
    a_storage_version_that_is_none |s| { *s.value("meta", "storageVersion") = b"three".to_vec(); } => ["suspicious schema/entry page 18"];
    a_compaction_done_that_nobody_asked_for |s| {
        *s.value("meta", "finishedCompactRev") = revision(9, 0);
    } => ["suspicious history/compaction-out-of-order"];
    a_compact_revision_that_is_none |s| { *s.value("meta", "finishedCompactRev") = b"5".to_vec(); } => [
        "suspicious schema/entry page 18",
        "note history/compaction-unfinished",
    ];
    a_key_of_meta_that_nobody_knows |s| { s.of("meta").push(entry("zzz", "1")); } => ["suspicious schema/entry page 18"];
    a_compaction_that_was_not_finished |s| { *s.value("meta", "scheduledCompactRev") = revision(20, 0); } => ["note history/compaction-unfinished"];
    a_compaction_beyond_the_last_record |s| {
        for key in ["scheduledCompactRev", "finishedCompactRev"] { *s.value("meta", key) = revision(200, 0); }
    } => ["note history/compacted-beyond-last-record"];
    no_bucket_meta |s| { s.small.remove("meta"); } => ["suspicious schema/missing-bucket"];
    a_bucket_that_nobody_knows |s| { s.of("zebra").push(entry("a", "b")); } => ["note schema/unknown-bucket"];

    a_kubernetes_value_cut_short |s| {
        for main in 62..65 {
            let object = kubernetes_object(if main == 63 { 3 } else { 0 });
            let key = format!("/registry/configmaps/default/c{main}");
            s.key.push(record(main, Put { key: key.as_bytes(), value: &object, ..write(main) }));
        }
    } => ["suspicious kubernetes/value-broken page 13"];
    a_kubernetes_value_that_is_none |s| {
        for (main, object) in [(62, kubernetes_object(0)), (63, b"\x01\x02\x03".to_vec()), (64, Vec::new())] {
            let key = format!("/registry/configmaps/default/c{main}");
            s.key.push(record(main, Put { key: key.as_bytes(), value: &object, ..write(main) }));
        }
    } => ["suspicious kubernetes/value-unknown x2 page 13"];
}

#[test]
fn what_a_compaction_drops_is_not_missed() {
    let mut store = sample();
    for key in ["scheduledCompactRev", "finishedCompactRev"] {
        *store.value("meta", key) = revision(25, 0);
    }
    // Each key is written again ten revisions later: up to 15 all are replaced,
    // but for the deletion at 7.
    store.key.drain(..of(16));
    expect(&store.build().file, &[]);
    store.key.remove(of(20) - of(16));
    expect(&store.build().file, &["data-lost history/nothing-to-delete page 4"]);
}

/// A ConfigMap as an API server stores it, less its last bytes.
fn kubernetes_object(cut: usize) -> Vec<u8> {
    let type_meta = message(&[(1, Err(b"v1")), (2, Err(b"ConfigMap"))]);
    let object = message(&[(1, Err(&message(&[(1, Err(b"name")), (3, Err(b"default"))])))]);
    let unknown = message(&[(1, Err(&type_meta)), (2, Err(&object))]);
    let bytes = [b"k8s\0".as_slice(), &unknown].concat();
    bytes[..bytes.len() - cut].to_vec()
}
