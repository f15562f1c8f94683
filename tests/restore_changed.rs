//! A restore that leaves something out or cleanses it.

mod harness;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use etcdsnap::bolt::{Db, Patch};
use serde_json::Value;
use tempfile::TempDir;

use harness::{Answer, ask, fixture, tree};
use support::entry;
use support::store::{Put, Store, revision};

const KUBERNETES: &str = "k8s-1.35-etcd-3.6";
const HASH: &str = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn restore(file: &str, target: &Path, more: &[&str]) -> Answer {
    ask(&[&["restore", file, "--data-dir", text(target), "-o", "json"], more].concat())
}

fn hashkv(file: &Path) -> Value {
    ask(&["hashkv", text(file), "-o", "json"]).exits(0).json()["files"][0]["hash"].clone()
}

fn codes(answer: &Value) -> BTreeSet<&str> {
    let warnings = answer["warnings"].as_array().expect("warnings");
    warnings.iter().map(|warning| warning["code"].as_str().expect("a code")).collect()
}

#[test]
fn a_dry_run_says_what_is_left_out_and_a_restore_does_that() {
    for (name, flags) in [
        (KUBERNETES, &["--drop-resource", "events"][..]),
        (KUBERNETES, &["--drop-prefix", "/registry/events/", "--expire-leases", "--bump-revision", "0"]),
        (KUBERNETES, &["--exclude-namespaces", "default", "--detach-leases"]),
        ("etcd-3.6", &["--keep-prefix", "plain/"]),
        ("etcd-3.6", &["--expire-leases"]),
        ("etcd-3.6", &["--expire-leases", "--bump-revision", "auto"]),
        ("etcd-3.6", &["--expire-leases", "--compact", "now"]),
        ("etcd-3.6", &["--detach-leases", "--compact", "100"]),
        ("etcd-3.6", &["--compact", "100", "--bump-revision", "7", "--mark-compacted"]),
        ("etcd-3.5", &["--compact", "now", "--disable-auth"]),
        ("etcd-3.4", &["--defrag", "--target-version", "3.4"]),
        ("etcd-3.6", &["--reset-root-password", HASH, "--clear-alarms"]),
    ] {
        let place = place();
        let target = place.path().join("etcd");
        let dry = restore(&fixture(name), &target, &[flags, &["--dry-run"]].concat()).exits(0).json();
        assert!(tree(place.path()).is_empty(), "nothing is written");
        let state = dry["state"].as_str().expect("a state");
        let done = restore(&fixture(name), &target, &[flags, &["--expect-state", state]].concat());
        let done = done.exits(0).json();
        for field in
            ["changes", "faithful", "warnings", "dbSize", "revisionAfter", "compactRevision", "leases"]
        {
            assert_eq!(dry[field], done[field], "{flags:?}: {field}");
        }
        let db = target.join("member/snap/db");
        assert_eq!(fs::metadata(&db).expect("a file").len(), dry["dbSize"].as_u64().expect("a size"));
        assert_eq!(hashkv(&db), dry["hashKV"]["hash"], "{flags:?}");
        let status = ask(&["status", text(&db), "-o", "json"]).exits(0).json();
        assert_eq!(status["revision"], done["revisionAfter"], "{flags:?}");
        let left_out = done["changes"]["leftOutKeys"].as_u64().expect("a number");
        let selective = flags.iter().any(|flag| {
            ["--drop-", "--keep-", "--exclude-", "--include-"].iter().any(|start| flag.starts_with(start))
        });
        assert_eq!(left_out > 0, selective, "{flags:?}");
        let only_history = flags.iter().all(|flag| !flag.ends_with("leases") && !flag.ends_with("-auth"));
        let faithful = !selective && only_history && !flags.contains(&HASH);
        assert_eq!(done["faithful"], faithful, "{flags:?}");
        assert_eq!(codes(&done).contains("not-faithful"), !faithful, "{flags:?}");
        let implied = !faithful && !flags.contains(&"--bump-revision");
        assert_eq!(codes(&done).contains("bump-implied"), implied, "{flags:?}");
        let (before, after) = (&done["revisionBefore"], &done["revisionAfter"]);
        let moved = after.as_i64().expect("a revision") - before.as_i64().expect("a revision");
        assert_eq!(moved >= 1_000_000_000, implied || flags.contains(&"auto"), "{flags:?}: {moved}");
    }
}

#[test]
fn what_fits_nothing_moves_nothing_and_is_told() {
    let place = place();
    let target = place.path().join("etcd");
    let dry = |more: &[&str]| restore(&fixture("etcd-3.6"), &target, &[more, &["--dry-run"]].concat());
    let nothing = dry(&["--drop-prefix", "/registry/event/"]).exits(0).says("NOTHING IS LEFT OUT").json();
    assert_eq!(nothing["faithful"], true);
    assert_eq!(nothing["revisionAfter"], nothing["revisionBefore"]);
    let found = codes(&nothing);
    assert!(found.contains("fits-nothing") && found.contains("nothing-left-out"), "{found:?}");
    assert!(!found.contains("not-faithful") && !found.contains("bump-implied"), "{found:?}");
    // Records of keys that are gone could fit, so history begins anew all the same.
    assert_eq!(nothing["compactRevision"], nothing["revisionAfter"]);
    // Where one part of two fits, something is left out.
    let one = dry(&["--drop-prefix", "/registry/event/", "--drop-prefix", "plain/"]).exits(0).json();
    let found = codes(&one);
    assert!(found.contains("fits-nothing") && !found.contains("nothing-left-out"), "{found:?}");
    assert_eq!(one["faithful"], false);
    // All that is there is kept: nobody has mistyped anything.
    let all = dry(&["--drop-prefix", "/registry/event/", "--bump-revision", "auto"]).exits(0).json();
    assert_eq!(all["faithful"], true);
    assert_ne!(all["revisionAfter"], all["revisionBefore"]);
}

#[test]
fn words_for_one_revision_are_one_state_and_one_database() {
    let place = place();
    let of = |file: &str, name: &str, flags: &[&str]| {
        let target = place.path().join(name);
        let answer = restore(&fixture(file), &target, flags).exits(0).json();
        let db = fs::read(target.join("member/snap/db")).expect("there");
        (answer["state"].as_str().expect("a state").to_owned(), answer["revisionAfter"].as_i64(), db)
    };
    let done = |name: &str, flags: &[&str]| of("etcd-3.6", name, flags);
    let now = done("now", &["--compact", "now"]);
    let revision = now.1.expect("a revision").to_string();
    let number = done("number", &["--compact", &revision]);
    assert!(now == number, "{} {}", now.0, number.0);
    let earlier = (now.1.expect("a revision") - 1).to_string();
    assert_ne!(done("earlier", &["--compact", &earlier]).0, now.0);
    // Implied or asked for, a bump is a bump.
    let implied = done("implied", &["--detach-leases"]);
    let asked = done("asked", &["--detach-leases", "--bump-revision", "auto"]);
    assert!(implied == asked, "{} {}", implied.0, asked.0);
    assert_ne!(done("kept", &["--detach-leases", "--bump-revision", "0"]).0, implied.0);
    // Nobody has to log in there, so there is nothing to turn off.
    assert!(of(KUBERNETES, "defrag", &["--defrag"]) == of(KUBERNETES, "off", &["--disable-auth"]));
}

#[test]
fn keys_left_out_move_the_revision_and_0_keeps_it() {
    let place = place();
    let target = place.path().join("etcd");
    let after = |more: &[&str]| {
        let flags = [&["--drop-resource", "events", "--dry-run"], more].concat();
        let answer = restore(&fixture(KUBERNETES), &target, &flags).exits(0).json();
        let number = |field: &str| answer[field].as_i64().expect("a revision");
        (
            number("revisionAfter") - number("revisionBefore"),
            number("compactRevision") - number("revisionBefore"),
        )
    };
    assert_eq!(after(&[]), (1_000_000_000, 1_000_000_000));
    assert_eq!(after(&["--bump-revision", "5", "--mark-compacted"]), (5, 5));
    // History begins anew in any case.
    assert_eq!(after(&["--bump-revision", "0"]), (0, 0));
    restore(&fixture(KUBERNETES), &target, &["--drop-resource", "events", "--bump-revision", "5"])
        .refuses(2)
        .says("--mark-compacted");
}

#[test]
fn the_state_depends_on_what_is_asked_for_and_not_on_how() {
    let place = place();
    let state = |flags: &[&str]| {
        let flags = [flags, &["--dry-run"]].concat();
        let answer = restore(&fixture(KUBERNETES), &place.path().join("etcd"), &flags).exits(0).json();
        answer["state"].as_str().expect("a state").to_owned()
    };
    let two = ["--drop-prefix", "/registry/events/", "--drop-prefix", "/registry/leases/"];
    let turned = ["--drop-prefix", "/registry/leases/", "--drop-prefix", "/registry/events/"];
    let hex =
        ["--drop-prefix-hex", "2f72656769737472792f6c65617365732f", "--drop-prefix", "/registry/events/"];
    let one = state(&two);
    for same in [
        &turned[..],
        &hex,
        &[&two[..], &["--drop-prefix", "/registry/events/"]].concat(),
        &[&two[..], &["--accept-orphans", "--compact", "now"]].concat(),
        &[&two[..], &["--bump-revision", "auto", "--threads", "1", "--defrag"]].concat(),
    ] {
        assert_eq!(state(same), one, "{same:?}");
    }
    let others: BTreeSet<_> = [
        &[][..],
        &["--bump-revision", "auto"],
        &two,
        &two[..2],
        &[&two[..], &["--bump-revision", "0"]].concat(),
        &["--drop-resource", "events,leases"],
        &["--keep-prefix", "/registry/"],
        &["--defrag"],
        &["--compact", "now"],
        &["--compact", "200"],
        &["--expire-leases"],
        &["--detach-leases"],
        &["--reset-root-password", HASH],
    ]
    .into_iter()
    .map(state)
    .collect();
    assert_eq!(others.len(), 13, "{others:?}");
}

#[test]
fn what_a_cluster_would_delete_is_shown_and_refused() {
    let place = place();
    let target = place.path().join("etcd");
    let flags = ["--keep-prefix", "/registry/", "--keep-prefix", "/no such thing/"];
    for more in [&[][..], &["--dry-run"]] {
        let answer = restore(&fixture(KUBERNETES), &target, &[&flags[..], more].concat()).refuses(1);
        let answer = answer.says("nothing was written: something that is to be kept is not there");
        assert_eq!(answer.json()["dryRun"], true, "what is told is the plan");
        assert!(codes(&answer.json()).contains("fits-nothing"));
        assert!(tree(place.path()).is_empty());
    }
    let page = ask(&[&["restore", &fixture(KUBERNETES), "--data-dir", text(&target)], &flags[..]].concat());
    let page = page.refuses(1);
    assert!(!page.text().contains("Next:"), "{}", page.text());
    restore(&fixture(KUBERNETES), &target, &["--drop-prefix", "/"]).refuses(1).says("no key would be left");
    // Damage and a wrong digest are told before.
    let mut bytes = fs::read(fixture(KUBERNETES)).expect("a snapshot");
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    let stale = place.path().join("stale.db");
    fs::write(&stale, &bytes).expect("written");
    restore(text(&stale), &target, &flags).refuses(1).says("digest does not match");
    restore(text(&stale), &target, &["--drop-resource", "events"]).refuses(1).says("digest does not match");
    assert!(!target.exists());
    bytes.truncate(bytes.len() / 2);
    fs::write(&stale, &bytes).expect("written");
    restore(text(&stale), &target, &["--defrag"]).refuses(1).says("damaged");
    assert!(!target.exists());
}

/// The codes of what speaks against it.
fn refused(answer: &Value) -> Vec<&str> {
    let refused = answer["refused"].as_array().expect("a list");
    refused.iter().map(|reason| reason["code"].as_str().expect("a code")).collect()
}

/// A snapshot with a volume, its claim and a configuration, of which the first two are
/// encrypted, and a pod whose owner is in another namespace.
fn sealed(place: &Path) -> String {
    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"team-b","uid":"u-pod",
        "ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"c","uid":"u-owner"}]}}"#;
    let owner = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"shop","uid":"u-owner"}}"#;
    let closed = "k8s:enc:secretbox:v1:key1:\u{1}\u{2} not to be opened";
    let keys = [
        ("/registry/persistentvolumeclaims/shop/denc", closed),
        ("/registry/persistentvolumes/vol-enc", closed),
        ("/registry/configmaps/shop/c", owner),
        ("/registry/pods/team-b/web", pod),
    ];
    let record = |(main, (key, value)): (i64, (&str, &str))| {
        let (key, value) = (key.as_bytes(), value.as_bytes());
        let put = Put { key, create: main, modified: main, version: 1, value, lease: 0 };
        entry(revision(main, 0), put.to_bytes())
    };
    let mut store = Store::sample(0);
    store.key = (2..).zip(keys).map(record).collect();
    store.small.get_mut("lease").expect("a bucket").clear();
    store.of("meta").retain(|entry| !entry.key.ends_with(b"CompactRev"));
    let path = place.join("enc.db");
    fs::write(&path, store.build().file).expect("written");
    text(&path).to_owned()
}

#[test]
fn a_volume_that_cannot_be_read_is_not_given_away_in_silence() {
    let place = place();
    let (file, target) = (sealed(place.path()), place.path().join("etcd"));
    let out = text(&place.path().join("out.db")).to_owned();
    let cleansing = ["--exclude-namespaces", "shop"];
    let all = ["reclaim-unknown", "orphans"];
    for more in [&[][..], &["--dry-run"]] {
        let answer = restore(&file, &target, &[&cleansing[..], more].concat()).refuses(1);
        let answer =
            answer.says("1 volume cannot be read").says("--encryption-config").says("--accept-orphans");
        let document = answer.json();
        assert_eq!(refused(&document), all);
        let volumes = serde_json::json!({"count": 1, "first": [{"object": "persistentvolumes vol-enc"}]});
        assert_eq!(document["changes"]["unreadableVolumes"], volumes);
        let packed = ask(&[&["repack", &file, &out, "-o", "json"], &cleansing[..], more].concat()).refuses(1);
        assert_eq!(refused(&packed.json()), all);
        assert_eq!(packed.json()["written"], false);
    }
    let page = ask(&[&["repack", &file, &out], &cleansing[..]].concat()).refuses(1);
    page.says("REFUSED to write")
        .says("DELETE WITH THEIR DATA, for want of their claims: 1\n  persistentvolumes vol-enc\n");
    assert_eq!(tree(place.path()).len(), 1, "nothing is written");
    let one = [&cleansing[..], &["--accept-orphans"]].concat();
    assert_eq!(refused(&restore(&file, &target, &one).refuses(1).json()), all[..1]);
    let both = [&one[..], &["--accept-reclaim"]].concat();
    let done = restore(&file, &target, &both).exits(0).json();
    assert_eq!(done["refused"], serde_json::json!([]));
    let packed = ask(&[&["repack", &file, &out, "-o", "json"], &both[..]].concat()).exits(0).json();
    assert_eq!(packed["refused"], serde_json::json!([]));
}

#[test]
fn nothing_is_to_be_started_after_a_refusal() {
    let place = place();
    let (file, target) = (sealed(place.path()), place.path().join("etcd"));
    let flags = ["--exclude-namespaces", "shop", "--start-flags", "systemd"];
    for more in [&[][..], &["--dry-run"]] {
        let page = [&["restore", &file, "--data-dir", text(&target)], &flags[..], more].concat();
        let page = ask(&page).refuses(1).says("REFUSED to restore ");
        for words in ["To start it", "can be used", "Next:", "systemctl"] {
            assert!(!page.text().contains(words), "{words}: {}", page.text());
        }
        let document = restore(&file, &target, &[&flags[..], more].concat()).refuses(1).json();
        assert_eq!(document.get("startFlags"), None);
    }
    // Another state, which is all that is wrong here.
    let file = fixture("etcd-3.6");
    let state = restore(&file, &target, &["--dry-run"]).exits(0).json()["state"]
        .as_str()
        .expect("a state")
        .to_owned();
    let other: String = state.chars().map(|digit| if digit == '-' { '-' } else { '0' }).collect();
    for more in [&[][..], &["--dry-run"]] {
        let flags = [&["--expect-state", &other, "--start-flags", "env"], more].concat();
        let document = restore(&file, &target, &flags).refuses(1).json();
        assert_eq!(refused(&document), ["other-state"]);
        let told = document["refused"][0]["text"].as_str().expect("a text");
        assert!(told.contains(&state) && told.contains(&other), "{told}");
        assert_eq!(document["state"], state.as_str());
        let page = [&["restore", &file, "--data-dir", text(&target)], &flags[..]].concat();
        let page = ask(&page).refuses(1);
        assert!(
            !page.text().contains("To start it") && !page.text().contains("can be used"),
            "{}",
            page.text()
        );
    }
    assert!(!target.exists());
    // Only the target is in the way: told, and that nothing was restored.
    fs::create_dir_all(target.join("member")).expect("made");
    let flags = ["--dry-run", "--start-flags", "env"];
    let page = ask(&[&["restore", &file, "--data-dir", text(&target)], &flags[..]].concat()).refuses(2);
    let (before, _) = page.text().split_once("\nTo start it:\n").expect("told all the same");
    assert!(before.contains("\nNOTHING WAS RESTORED, and nothing can be to this target."), "{before}");
    assert_eq!(refused(&restore(&file, &target, &flags).refuses(2).json()), ["target"]);
}

#[test]
fn objects_that_nobody_can_use_are_told_loudly() {
    let place = place();
    let target = place.path().join("etcd");
    for (resource, code, words, field) in [
        ("namespaces", "namespaces-left-out", "OBJECTS STAY WITHOUT THEIR NAMESPACE: ", "withoutNamespace"),
        (
            "customresourcedefinitions",
            "definitions-left-out",
            "CUSTOM RESOURCES STAY WITHOUT THEIR DEFINITIONS: 3 objects of 1 type whose definition is left out (widgets.example.com 3)",
            "withoutDefinition",
        ),
    ] {
        let flags = ["--drop-resource", resource, "--dry-run"];
        let answer = restore(&fixture(KUBERNETES), &target, &flags).exits(0).says(words).json();
        assert!(codes(&answer).contains(code), "{answer}");
        // What is listed in namespaces, or as widgets.
        let list = ask(&["list", &fixture(KUBERNETES)]).exits(0);
        let rows = list.text().lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
        let fits = |row: &Vec<&str>| match resource {
            "namespaces" => row.len() == 3 && row[1] != "-",
            _ => row[0] == "widgets.example.com",
        };
        let objects: u64 = rows.filter(fits).map(|row| row[2].parse::<u64>().expect("a number")).sum();
        assert!(objects > 0);
        assert_eq!(answer["changes"][field]["count"], objects, "{}", list.text());
    }
    let both = ["--drop-resource", "customresourcedefinitions,widgets", "--dry-run"];
    let answer = restore(&fixture(KUBERNETES), &target, &both).exits(0).json();
    assert!(!codes(&answer).contains("definitions-left-out"), "{answer}");
}

#[test]
fn the_hash_of_a_password_is_asked_for_and_nothing_of_it_shown() {
    let place = place();
    for command in ["restore", "repack"] {
        let target = place.path().join("out");
        let to = if command == "restore" { vec!["--data-dir", text(&target)] } else { vec![text(&target)] };
        let file = fixture("etcd-3.6");
        let flags = [&[command, &file], &to[..]].concat();
        let refused = ask(&[&flags[..], &["--reset-root-password", "hunter2"]].concat()).refuses(2);
        assert!(!format!("{}{}", refused.text(), refused.err).contains("hunter2"), "{}", refused.err);
        let done = ask(&[&flags[..], &["--reset-root-password", HASH]].concat()).exits(0);
        let done = done.says("user root");
        assert!(!format!("{}{}", done.text(), done.err).contains(&HASH[7..]), "{}", done.text());
        if command == "restore" {
            fs::remove_dir_all(&target).expect("removed");
            continue;
        }
        let bytes = fs::read(&target).expect("a snapshot");
        let users = Patch::new(Db::open(&bytes).expect("a database")).entries(b"authUsers").expect("users");
        let old = fs::read(&file).expect("a snapshot");
        let before = Patch::new(Db::open(&old).expect("a database")).entries(b"authUsers").expect("users");
        assert!(users.keys().eq(before.keys()));
        let changed: Vec<_> = users.iter().filter(|(name, user)| before[*name] != **user).collect();
        let [(name, user)] = changed.as_slice() else { panic!("{changed:?}") };
        // As etcd wrote it, but for the hash.
        let at = before[*name].windows(4).position(|window| window == b"$2a$").expect("a hash");
        let mut expected = before[*name].clone();
        expected.splice(at..at + 60, HASH.bytes());
        assert_eq!((name.as_slice(), *user), (&b"root"[..], &expected));
    }
}

#[test]
fn the_other_members_are_restored_with_the_same_flags() {
    let place = place();
    let cluster = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380";
    let flags = ["--drop-prefix", "it's \u{202e}\n", "--drop-resource", "events,leases", "--expire-leases"];
    let file = fixture(KUBERNETES);
    let start = ["restore", &file, "--initial-cluster", cluster, "--reset-root-password", HASH];
    let this = ["--name", "a", "--initial-advertise-peer-urls", "http://10.0.0.1:2380"];
    let target = place.path().join("a");
    let page = ask(&[&start[..], &this, &flags, &["--data-dir", text(&target)]].concat()).exits(0);
    let command =
        page.text().lines().find(|line| line.starts_with("    etcdsnap restore")).expect("a command");
    let other = place.path().join("b");
    let command =
        command.replacen("    etcdsnap", env!("CARGO_BIN_EXE_etcdsnap"), 1).replace("DIR", text(&other));
    let mut shell = std::process::Command::new("bash");
    Answer::of(shell.args(["-c", &command]).env("HASH", HASH)).exits(0);
    let bytes = |data_dir: &Path| fs::read(data_dir.join("member/snap/db")).expect("a database");
    assert!(bytes(&target) == bytes(&other), "every byte of the databases");
}

#[test]
fn all_members_at_once_are_what_each_would_be() {
    let place = place();
    let cluster = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380";
    let flags = ["--drop-resource", "events", "--initial-cluster", cluster];
    let file = fixture(KUBERNETES);
    let one = place.path().join("one");
    let this = ["--name", "b", "--initial-advertise-peer-urls", "http://10.0.0.2:2380"];
    let answer = restore(&file, &one, &[&flags[..], &this].concat()).exits(0).json();
    let db = fs::read(one.join("member/snap/db")).expect("a database");
    for tar in [false, true] {
        let out = place.path().join(if tar { "tars" } else { "directories" });
        let all = ["restore", &file, "--all-members", "--out-dir", text(&out), "-o", "json"];
        let more: &[&str] = if tar { &["--tar"] } else { &[] };
        let told = ask(&[&all[..], &flags, more].concat()).exits(0).json();
        assert_eq!((&told["state"], &told["changes"]), (&answer["state"], &answer["changes"]));
        for name in ["a", "b", "c"] {
            let mut data_dir = out.join(name);
            if tar {
                data_dir = place.path().join(name);
                fs::create_dir(&data_dir).expect("made");
                let mut command = std::process::Command::new("tar");
                command.arg("-xf").arg(out.join(format!("{name}.tar"))).arg("-C").arg(&data_dir);
                Answer::of(&mut command).exits(0);
            }
            assert!(fs::read(data_dir.join("member/snap/db")).expect("a database") == db, "{name}");
        }
    }
    let refused = place.path().join("refused");
    let all = ["restore", &file, "--all-members", "--out-dir", text(&refused), "--drop-prefix", "/"];
    ask(&[&all[..], &["--initial-cluster", cluster]].concat()).refuses(1).says("no key would be left");
    assert!(!refused.exists());
}
