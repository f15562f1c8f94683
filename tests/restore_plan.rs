//! A restore planned first, for a line of etcd, and the same on every node.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use etcdsnap::bolt::{Db, Entries, Patch, bucket_names, small_bucket};
use etcdsnap::codec::checksum::sha256;
use serde_json::Value;
use tempfile::TempDir;

use harness::{Answer, ask, fixture, tree};

const URLS: [&str; 3] =
    ["https://10.20.30.101:2380", "https://10.20.30.102:2380", "https://10.20.30.103:2380"];

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Restores as one of three members, the first being 1.
fn member(file: &str, number: usize, target: &Path, more: &[&str]) -> Answer {
    let name = format!("node{number}");
    let cluster: Vec<_> = (1..).zip(URLS).map(|(number, url)| format!("node{number}={url}")).collect();
    let cluster = cluster.join(",");
    let mut args = vec!["restore", file, "--data-dir", text(target), "-o", "json", "--name", &name];
    args.extend(["--initial-advertise-peer-urls", URLS[number - 1], "--initial-cluster", &cluster]);
    args.extend(more);
    ask(&args)
}

fn state(answer: &Value) -> String {
    answer["state"].as_str().expect("a state").to_owned()
}

/// The state that a restore would come to.
fn planned(file: &str, more: &[&str]) -> String {
    let place = place();
    let flags = [&["--dry-run"], more].concat();
    state(&member(file, 1, &place.path().join("etcd"), &flags).exits(0).json())
}

/// A fixture without its digest, with entries added to its small buckets.
fn with_entries(name: &str, entries: &[(&str, &[u8], &[u8])], to: &Path) -> String {
    let bytes = fs::read(fixture(name)).expect("a snapshot");
    let db = Db::open(&bytes).expect("a database");
    let mut patch = Patch::new(db);
    let mut buckets = BTreeMap::<&str, Entries>::new();
    for (bucket, key, value) in entries {
        let known = patch.entries(bucket.as_bytes()).expect("sound");
        buckets.entry(bucket).or_insert(known).insert(key.to_vec(), value.to_vec());
    }
    for (bucket, entries) in buckets {
        patch.replace(bucket.as_bytes(), entries);
    }
    let patched = patch.apply().expect("sound");
    let (start, appendix) = patched.appendix();
    let mut file = bytes[..usize::try_from(start.0).expect("small")].to_vec();
    file.extend_from_slice(appendix);
    let metas = patched.meta_pages();
    file[..metas.len()].copy_from_slice(&metas);
    let path = to.join("made.db");
    fs::write(&path, file).expect("written");
    text(&path).to_owned()
}

/// Everything that a restored database holds.
fn listing(target: &Path) -> BTreeMap<(String, Vec<u8>), Vec<u8>> {
    let bytes = fs::read(target.join("member/snap/db")).expect("a database");
    let db = Db::open(&bytes).expect("a database");
    let mut all = BTreeMap::new();
    for name in bucket_names(&db).0 {
        let bucket = String::from_utf8(name.clone()).expect("text");
        for element in small_bucket(&db, &name).0 {
            all.insert((bucket.clone(), element.key().to_vec()), sha256(element.value()).to_vec());
        }
    }
    all
}

// Plan first.

#[test]
fn a_dry_run_says_what_a_restore_does_and_writes_nothing() {
    let place = place();
    for (target, wal) in [("absent/deep/etcd", None), ("there", None), ("there", Some("other/wal"))] {
        let (target, wal) = (place.path().join(target), wal.map(|wal| place.path().join(wal)));
        fs::create_dir_all(place.path().join("there")).expect("made");
        let before = tree(place.path());
        let mut more: Vec<&str> = wal.iter().flat_map(|wal| ["--wal-dir", text(wal)]).collect();
        let dry = member(&fixture("etcd-3.6"), 2, &target, &[&["--dry-run"], &more[..]].concat());
        let dry = dry.exits(0).json();
        assert_eq!(tree(place.path()), before);
        assert_eq!((&dry["dryRun"], &dry["target"]["usable"]), (&true.into(), &true.into()));
        let rooms = dry["target"]["space"].as_array().expect("a list");
        let sum = |name: &str| rooms.iter().map(|room| room[name].as_u64().expect("a size")).sum::<u64>();
        // On one file system, what is needed adds up, a WAL elsewhere included.
        assert_eq!(rooms.len(), 1);
        assert!(sum("needed") > 64_000_000 && sum("free") > sum("needed"), "{rooms:?}");

        let expected = state(&dry);
        more.extend(["--expect-state", &expected]);
        let done = member(&fixture("etcd-3.6"), 2, &target, &more).exits(0).json();
        let (dry, done) = (dry.as_object().expect("an object"), done.as_object().expect("an object"));
        assert!(dry.keys().eq(done.keys()), "one shape");
        for (name, value) in dry {
            if !["dryRun", "hashKV", "target"].contains(&name.as_str()) {
                assert_eq!(value, &done[name], "{name}");
            }
        }
        let db = target.join("member/snap/db");
        let hash = ask(&["hashkv", "-o", "json", text(&db)]).exits(0).json();
        assert_eq!(dry["hashKV"]["hash"], hash["files"][0]["hash"], "{hash}");
        assert_eq!(fs::metadata(&db).expect("there").len(), done["dbSize"].as_u64().expect("a size"));
        fs::remove_dir_all(place.path().join("there")).expect("removed");
    }
}

/// The one to compare with what `etcdctl endpoint hashkv` prints, which is decimal.
#[test]
fn a_plan_has_the_hash_as_the_command_for_it_prints_it() {
    let place = place();
    let file = fixture("etcd-3.6");
    let plan = ask(&["restore", &file, "--dry-run", "--data-dir", text(&place.path().join("etcd"))]);
    let plan = plan.exits(0);
    let line = plan.text().lines().find(|line| line.starts_with("  HashKV")).expect("a row").to_owned();
    let printed = ask(&["hashkv", &file]).exits(0);
    let row = printed.text().lines().nth(1).expect("a row").to_owned();
    let hash: Vec<_> = line.split_whitespace().skip(1).take(2).collect();
    assert!(row.contains(&hash.join(" ")) && hash[1].starts_with('('), "{line}\n{row}");
    let upstream = ask(&["hashkv", &file, "-w", "simple"]).exits(0);
    assert!(upstream.text().starts_with(&format!("{}, ", hash[0])), "{line}");
}

#[test]
fn a_dry_run_finds_what_a_restore_would_be_refused_for() {
    let place = place();
    let target = place.path().join("etcd");
    fs::create_dir_all(target.join("member")).expect("made");
    let before = tree(place.path());
    let dry = member(&fixture("etcd-3.6"), 1, &target, &["--dry-run"]);
    let problem = dry.json()["target"]["problem"].as_str().expect("a problem").to_owned();
    assert_eq!(dry.json()["target"]["usable"], false);
    let dry = dry.refuses(2).says("not empty");
    let real = member(&fixture("etcd-3.6"), 1, &target, &[]).refuses(2);
    assert!(real.err.contains(&problem), "{problem}: {}", real.err);
    assert!(dry.err.ends_with(&real.err), "{} and {}", dry.err, real.err);
    assert_eq!(tree(place.path()), before);

    // A directory that an earlier run may have left, and that is held now.
    let target = place.path().join("other");
    let staging = place.path().join(".other.etcdsnap-restore");
    fs::create_dir(&staging).expect("made");
    let lock = fs::File::create(staging.join("lock")).expect("made");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    let before = tree(place.path());
    member(&fixture("etcd-3.6"), 1, &target, &["--dry-run"]).refuses(2).says("another restore");
    drop(lock);
    member(&fixture("etcd-3.6"), 1, &target, &["--dry-run"]).exits(0);
    fs::write(staging.join("mine"), "").expect("written");
    member(&fixture("etcd-3.6"), 1, &target, &["--dry-run"]).refuses(2).says("in the way");
    fs::remove_file(staging.join("mine")).expect("removed");
    assert_eq!(tree(place.path()), before);

    // What is wrong with the file comes before all that.
    let cut = place.path().join("cut.db");
    let bytes = fs::read(fixture("etcd-3.6")).expect("a snapshot");
    fs::write(&cut, &bytes[..bytes.len() - 32]).expect("written");
    member(text(&cut), 1, &target, &["--dry-run"]).refuses(1).says("no digest");
}

// The same on every node.

#[test]
fn the_state_is_that_of_the_file_and_the_flags_alone() {
    let place = place();
    let file = fixture("etcd-3.6");
    let mut states = BTreeSet::new();
    for number in 1..=3 {
        let target = place.path().join(format!("a{number}"));
        let wal = place.path().join(format!("w{number}"));
        states.insert(state(&member(&file, number, &target, &["--wal-dir", text(&wal)]).exits(0).json()));
    }
    // Under another name, and without the digest, it is the same file.
    let stripped = place.path().join("stripped.db");
    let bytes = fs::read(&file).expect("a snapshot");
    fs::write(&stripped, &bytes[..bytes.len() - 32]).expect("written");
    states.insert(planned(text(&stripped), &["--skip-hash-check"]));
    let mut slack = bytes[..bytes.len() - 32].to_vec();
    slack.resize(slack.len() + 4096, 0);
    fs::write(&stripped, slack).expect("written");
    states.insert(planned(text(&stripped), &["--skip-hash-check"]));
    states.insert(planned(&file, &["--no-mmap", "--threads", "1"]));
    // The line alone makes no difference to what the database holds.
    states.insert(planned(&file, &["--target-version", "3.7"]));
    assert_eq!(states.len(), 1, "{states:?}");

    let mut others = states;
    for more in [
        &["--bump-revision", "1000000000", "--mark-compacted"][..],
        &["--bump-revision", "1000000001", "--mark-compacted"],
        &["--initial-cluster-token", "another"],
        &["--learners", "node2"],
        &["--learners", "node3"],
        &["--target-version", "3.5", "--downgrade"],
        &["--rewrite-conf-state"],
    ] {
        assert!(others.insert(planned(&file, more)), "{more:?} makes no difference");
    }
    // What `auto` stands for is what counts.
    let auto = planned(&file, &["--bump-revision", "auto", "--mark-compacted"]);
    assert_eq!(auto, planned(&file, &["--bump-revision", "1000000000", "--mark-compacted"]));
    assert!(others.insert(planned(&fixture("etcd-3.5"), &[])));
    let mut flipped = bytes;
    let value = flipped.windows(6).rposition(|bytes| bytes == b"secret").unwrap_or(flipped.len() - 40);
    flipped[value] ^= 1;
    let path = place.path().join("flipped.db");
    fs::write(&path, flipped).expect("written");
    assert!(others.insert(planned(text(&path), &["--skip-hash-check"])), "one bit more or less");
}

#[test]
fn another_state_than_expected_is_refused_before_anything_appears() {
    let place = place();
    let file = fixture("etcd-3.6");
    let expected = planned(&file, &[]);
    let target = place.path().join("etcd");
    for more in [&["--expect-state", &expected, "--bump-revision", "auto"][..], &["--dry-run"]] {
        let more = [more, &["--initial-cluster-token", "x", "--expect-state", &expected][..]].concat();
        let more: Vec<_> = if more[0] == "--expect-state" { more[..4].to_vec() } else { more };
        // What can be compared with the other node's page.
        let answer = member(&file, 1, &target, &more).refuses(1).says(&expected).says("another file");
        let answer = answer.says("\n  here it is cluster ").says("node1 (https://");
        assert!(!answer.err.contains("--target-version"), "{}", answer.err);
        assert_eq!(tree(place.path()), Vec::<String>::new());
    }
    for wrong in [&expected[..38], "", "4f3a", "zzzz"] {
        member(&file, 1, &target, &["--expect-state", wrong]).refuses(2);
    }
    let plain = expected.replace('-', "").to_uppercase();
    member(&file, 1, &target, &["--expect-state", &plain]).exits(0);
}

#[test]
fn the_commands_for_the_other_nodes_lead_to_the_same_database() {
    let place = place();
    let file = fixture("etcd-3.6");
    let cluster: Vec<_> = (1..).zip(URLS).map(|(number, url)| format!("node{number}={url}")).collect();
    let first = place.path().join("first");
    let mut args = vec!["restore", &file, "--data-dir", text(&first), "--name", "node1"];
    let cluster = cluster.join(",");
    args.extend(["--initial-advertise-peer-urls", URLS[0], "--initial-cluster", &cluster]);
    args.extend(["--initial-cluster-token", "an other", "--bump-revision", "auto", "--learners", "node3"]);
    args.extend(["--target-version", "3.5.33", "--downgrade", "--rewrite-conf-state"]);
    let answer = ask(&args).exits(0);
    let commands: Vec<&str> =
        answer.text().lines().filter_map(|line| line.trim().strip_prefix("etcdsnap restore ")).collect();
    assert_eq!(commands.len(), 2);
    for (number, command) in commands.into_iter().enumerate() {
        let target = place.path().join(format!("other{number}"));
        let script = format!("\"$0\" restore {}", command.replace(" DIR", &format!(" {}", text(&target))));
        let mut shell = std::process::Command::new("sh");
        Answer::of(shell.args(["-c", &script, harness::PROGRAM])).exits(0);
        assert_eq!(listing(&target), listing(&first));
    }
}

#[test]
fn the_commands_for_the_other_nodes_have_the_owner_the_mode_and_a_place_for_the_wal() {
    let place = place();
    let file = fixture("etcd-3.6");
    let owner = if harness::is_root() { "root:root".to_owned() } else { owner_of(place.path()) };
    let (first, wal, keys) =
        (place.path().join("first"), place.path().join("wal"), place.path().join("the keys.yaml"));
    let config = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers: [{identity: {}}]\n";
    fs::write(&keys, config).expect("written");
    let mut args = vec!["restore", &file, "--data-dir", text(&first), "--name", "a", "--wal-dir", text(&wal)];
    args.extend(["--initial-advertise-peer-urls", "http://10.0.0.1:1"]);
    args.extend(["--initial-cluster", "a=http://10.0.0.1:1,b=http://10.0.0.2:1"]);
    args.extend(["--owner", &owner, "--mode", "0750", "--start-flags", "env"]);
    args.extend(["--encryption-config", text(&keys)]);
    let answer = ask(&args).exits(0);
    let command = answer.text().lines().find_map(|line| line.trim().strip_prefix("etcdsnap restore "));
    let command = command.expect("a command");
    for words in [&format!(" --owner {owner} "), " --mode 750 ", " --start-flags env "] {
        assert!(command.contains(words), "{words}: {command}");
    }
    assert!(command.ends_with(" --wal-dir WAL-DIR --data-dir DIR"), "{command}");
    let (other, other_wal) = (place.path().join("other"), place.path().join("other-wal"));
    let command = command.replace(" WAL-DIR", &format!(" {}", text(&other_wal)));
    let command = command.replace(" DIR", &format!(" {}", text(&other)));
    let mut shell = std::process::Command::new("sh");
    let script = format!("\"$0\" restore {command}");
    let other_answer = Answer::of(shell.args(["-c", &script, harness::PROGRAM])).exits(0);
    assert!(other_answer.text().contains("\nETCD_NAME=b\n"), "{}", other_answer.text());
    assert_eq!(listing(&other), listing(&first));
    assert_eq!(fs::metadata(&other).expect("there").mode() & 0o777, 0o750);
    assert!(fs::read_dir(&other_wal).expect("a WAL").count() > 0);
}

#[test]
fn the_commands_for_the_other_nodes_run_whatever_begins_with_a_hyphen() {
    let place = place();
    let file = fixture("etcd-3.6");
    let first = place.path().join("first");
    let mut args = vec!["restore", &file, "--data-dir", text(&first), "--name=a"];
    args.extend(["--initial-advertise-peer-urls=http://10.0.0.1:1", "--initial-cluster-token=-t"]);
    args.extend(["--initial-cluster=-b=http://10.0.0.2:1,a=http://10.0.0.1:1", "--learners=-b"]);
    args.extend(["--drop-prefix=-none", "--bump-revision=0"]);
    let answer = ask(&args).exits(0);
    let command = answer.text().lines().find_map(|line| line.trim().strip_prefix("etcdsnap restore "));
    let command = command.expect("a command");
    assert!(command.contains(" --name=-b ") && command.contains(" --drop-prefix=-none "), "{command}");
    let other = place.path().join("other");
    let command = command.replace(" DIR", &format!(" {}", text(&other)));
    let mut shell = std::process::Command::new("sh");
    Answer::of(shell.args(["-c", &format!("\"$0\" restore {command}"), harness::PROGRAM])).exits(0);
    assert_eq!(listing(&other), listing(&first));
}

/// User and group of a directory, as numbers.
fn owner_of(path: &Path) -> String {
    let metadata = fs::metadata(path).expect("there");
    format!("{}:{}", metadata.uid(), metadata.gid())
}

// As scripts for etcdutl have it.

#[test]
fn switches_of_etcdutl_take_their_value_behind_an_equals_sign() {
    let place = place();
    let file = fixture("etcd-3.6");
    let undigested = place.path().join("no digest.db");
    let bytes = fs::read(&file).expect("a snapshot");
    fs::write(&undigested, &bytes[..bytes.len() - 32]).expect("written");
    let plan = |file: &str, more: &[&str]| {
        let target = place.path().join("etcd");
        member(file, 1, &target, &[more, &["--dry-run"]].concat())
    };
    for yes in ["", "=1", "=t", "=T", "=true", "=TRUE", "=True"] {
        plan(text(&undigested), &[&format!("--skip-hash-check{yes}")]).exits(0);
        let compacted = format!("--mark-compacted{yes}");
        plan(&file, &["--bump-revision=5", &compacted]).exits(0);
        plan(&file, &[&compacted]).refuses(2).says("go together");
        plan(&file, &["--bump-revision=0", &compacted]).refuses(2);
    }
    for no in ["=0", "=f", "=F", "=false", "=FALSE", "=False"] {
        plan(text(&undigested), &[&format!("--skip-hash-check{no}")]).refuses(1).says("no digest");
        let compacted = format!("--mark-compacted{no}");
        for more in [&[compacted.as_str()][..], &["--bump-revision=0", &compacted]] {
            plan(&file, more).exits(0);
        }
        plan(&file, &["--bump-revision=5", &compacted]).refuses(2).says("go together");
    }
    // The last one counts, and a word behind it is no value.
    plan(text(&undigested), &["--skip-hash-check=false", "--skip-hash-check"]).exits(0);
    plan(&file, &["--skip-hash-check", "true"]).refuses(2).says("unexpected argument");
    plan(&file, &["--mark-compacted=yes"]).refuses(2).says("true or false");
    let other = ["--initial-memory-map-size=0", "--bump-revision=0"];
    // Which upstream's restore does not look at.
    for form in [&["--write-out", "json"][..], &["--write-out=bogus"], &["-w", "simple"]] {
        plan(&file, &[form, &other].concat()).exits(0);
    }
    for command in ["status", "hashkv"] {
        let short = ask(&[command, &file, "-w", "json"]).exits(0);
        for long in [&["--write-out", "json"][..], &["--write-out=json"]] {
            assert_eq!(ask(&[&[command, &file], long].concat()).exits(0).out, short.out);
        }
    }
}

// A member's own file.

#[test]
fn writes_that_may_be_only_in_the_log_beside_the_file_are_warned_about() {
    let place = place();
    let snap = place.path().join("old/member/snap");
    fs::create_dir_all(&snap).expect("made");
    let bytes = fs::read(fixture("etcd-3.6")).expect("a snapshot");
    let db = snap.join("db");
    let codes = |answer: Answer| -> Vec<String> {
        let warnings = answer.exits(0).json()["warnings"].as_array().expect("warnings").clone();
        let codes = warnings.iter().map(|warning| warning["code"].as_str().expect("a code").to_owned());
        codes.filter(|code| code.starts_with("wal-")).collect()
    };
    let wal = place.path().join("old/member/wal");
    let out = |name: &str| place.path().join(name);
    // No log, then one that is no log.
    for (at, code) in ["wal-missing", "wal-unreadable"].into_iter().enumerate() {
        fs::write(&db, &bytes[..bytes.len() - 32]).expect("written");
        let restored = member(text(&db), 1, &out(&format!("{at}")), &["--skip-hash-check"]);
        let told =
            restored.err.lines().filter(|line| line.starts_with("warning: ") && line.contains(" log "));
        assert_eq!(told.count(), 1, "{}", restored.err);
        assert_eq!(codes(restored), [code]);
        let plan = ["--skip-hash-check", "--dry-run"];
        assert_eq!(codes(member(text(&db), 1, &out("plan"), &plan)), [code]);
        let copy = text(&out(&format!("{at}.db"))).to_owned();
        assert_eq!(codes(ask(&["repack", text(&db), &copy, "-o", "json"])), [code], "as repack");
        // Of a copy elsewhere, and of a snapshot of that name, nothing is known to be missing.
        fs::copy(&db, out("copy.db")).expect("copied");
        assert!(codes(member(text(&out("copy.db")), 1, &out("plan"), &plan)).is_empty());
        fs::write(&db, &bytes).expect("written");
        assert!(codes(member(text(&db), 1, &out("plan"), &plan)).is_empty());
        fs::create_dir_all(&wal).expect("made");
        fs::write(wal.join("0000000000000000-0000000000000000.wal"), [1; 600]).expect("written");
    }
}

// For a line of etcd.

#[test]
fn an_older_target_is_refused_unless_a_downgrade_is_asked_for() {
    let place = place();
    let target = place.path().join("etcd");
    let file = fixture("etcd-3.6");
    member(&file, 1, &target, &["--target-version", "3.5"])
        .refuses(2)
        .says("newer than etcd 3.5")
        .says("--downgrade");
    member(&file, 1, &target, &["--target-version", "3.4", "--downgrade"]).refuses(2).says("3.4");
    member(&fixture("etcd-3.5"), 1, &target, &["--target-version", "3.4.45"]).refuses(2).says("--downgrade");
    member(&file, 1, &target, &["--downgrade"]).refuses(2).says("--target-version");
    member(&file, 1, &target, &["--target-version", "3.8"]).refuses(2).says("3.4 to 3.7");
    assert_eq!(tree(place.path()), Vec::<String>::new());
    for (file, flags, written_for, starts_on) in [
        ("etcd-3.4", &[][..], "3.5", &["3.4", "3.5", "3.6", "3.7"][..]),
        ("etcd-3.4", &["--target-version", "3.4"], "3.4", &["3.4", "3.5", "3.6", "3.7"]),
        ("etcd-3.5", &[], "3.5", &["3.5", "3.6", "3.7"]),
        ("etcd-3.5", &["--target-version", "3.4", "--downgrade"], "3.4", &["3.4", "3.5", "3.6", "3.7"]),
        ("etcd-3.6", &["--target-version", "3.7.1"], "3.7", &["3.6", "3.7"]),
        ("etcd-3.6", &["--target-version", "v3.6"], "3.6", &["3.6", "3.7"]),
        ("etcd-3.6", &["--target-version", "v3.6.14"], "3.6", &["3.6", "3.7"]),
        ("etcd-3.6", &["--target-version", "3.6.14"], "3.6", &["3.6", "3.7"]),
        ("etcd-3.6", &["--target-version", "3.5", "--downgrade"], "3.5", &["3.5", "3.6", "3.7"]),
    ] {
        let flags = [flags, &["--dry-run"]].concat();
        let answer = member(&fixture(file), 1, &target, &flags).exits(0).json();
        assert_eq!(answer["writtenFor"], written_for, "{file} {flags:?}");
        assert_eq!(answer["startsOn"], serde_json::json!(starts_on), "{file} {flags:?}");
    }
}

/// With each correction undone, the database is what a restore without it gives;
/// and that has the status hash of upstream's (`tests/reference.rs`).
#[test]
fn each_correction_changes_what_it_says_and_nothing_else() {
    let place = place();
    let downgrade = br#"{"target-version":"3.5.0","enabled":true}"#;
    let alarm = [8, 7, 16, 2];
    let made = with_entries(
        "etcd-3.6",
        &[("alarm", &alarm, b""), ("alarm", &[8, 7, 16, 1], b""), ("cluster", b"downgrade", downgrade)],
        place.path(),
    );
    let of_3_5 = fixture("etcd-3.5");
    let mut count = 0;
    let mut restored = |file: &str, flags: &[&str]| {
        count += 1;
        let target = place.path().join(count.to_string());
        let flags = [&["--skip-hash-check"], flags].concat();
        let answer = member(file, 2, &target, &flags).exits(0).json();
        let codes = |list: &str| {
            let list = answer[list].as_array().expect("a list");
            list.iter().map(|told| told["code"].as_str().expect("a code").to_owned()).collect::<Vec<_>>()
        };
        (listing(&target), codes("corrections"), codes("warnings"))
    };
    let (plain, none, warned) = restored(&made, &[]);
    assert_eq!(none, Vec::<String>::new());
    for code in ["alarm", "downgrade-under-way"] {
        assert!(warned.iter().any(|warned| warned == code), "{code} {warned:?}");
    }
    let meta = |key: &str| ("meta".to_owned(), key.as_bytes().to_vec());
    let cluster = |key: &str| ("cluster".to_owned(), key.as_bytes().to_vec());
    let alarms = [("alarm".to_owned(), alarm.to_vec()), ("alarm".to_owned(), vec![8, 7, 16, 1])];
    let to_3_5 = ["--target-version", "3.5", "--downgrade"];
    let cleared = ["downgrade-cleared"];
    for (file, flags, codes, touched) in [
        (&made, &["--clear-alarms"][..], &["alarms-cleared"][..], alarms.to_vec()),
        (&made, &["--clear-downgrade"], &cleared, vec![cluster("downgrade")]),
        (&made, &["--rewrite-conf-state"], &["conf-state-rewritten"], vec![meta("confState")]),
        (
            &made,
            &to_3_5,
            &["storage-version", "cluster-version", "downgrade-cleared"],
            vec![meta("storageVersion"), cluster("clusterVersion"), cluster("downgrade")],
        ),
        (
            &of_3_5,
            &["--target-version", "3.4", "--downgrade"],
            &["cluster-version", "marks-of-3.5-removed"],
            vec![cluster("clusterVersion"), meta("term"), meta("confState")],
        ),
    ] {
        let before = if file == &made { plain.clone() } else { restored(file, &[]).0 };
        let (mut after, told, warned) = restored(file, flags);
        assert_eq!(told, codes, "{flags:?}");
        for entry in touched {
            assert_ne!(after.get(&entry), before.get(&entry), "{flags:?} {entry:?}");
            after.remove(&entry);
            if let Some(old) = before.get(&entry) {
                after.insert(entry, old.clone());
            }
        }
        assert_eq!(after, before, "{flags:?}");
        let silenced = |flag: &str, code: &str| flags.contains(&flag) && warned.iter().any(|w| w == code);
        assert!(!silenced("--clear-alarms", "alarm"));
        assert!(!silenced("--clear-downgrade", "downgrade-under-way"));
    }
}

#[test]
fn a_downgrade_that_was_under_way_keeps_3_5_away() {
    let place = place();
    let downgrade = br#"{"target-version":"3.4.0","enabled":true}"#;
    let made = with_entries("etcd-3.5", &[("cluster", b"downgrade", downgrade)], place.path());
    let plan = |more: &[&str]| {
        let more = [&["--skip-hash-check", "--dry-run"], more].concat();
        member(&made, 1, &place.path().join("etcd"), &more).exits(0).json()
    };
    let answer = plan(&[]);
    assert_eq!(answer["startsOn"], serde_json::json!(["3.6", "3.7"]));
    assert!(answer["warnings"].to_string().contains("kept-from-target"));
    assert_eq!(plan(&["--clear-downgrade"])["startsOn"], serde_json::json!(["3.5", "3.6", "3.7"]));
}

// Learners, revisions.

#[test]
fn learners_are_members_without_a_vote() {
    let place = place();
    let target = place.path().join("etcd");
    let file = fixture("etcd-3.6");
    let answer = member(&file, 2, &target, &["--learners", "node2"]).exits(0).json();
    for member in answer["members"].as_array().expect("members") {
        assert_eq!(member["isLearner"], member["name"] == "node2");
    }
    let db = target.join("member/snap/db");
    let members = ask(&["members", "-o", "json", text(&db)]).exits(0).json();
    let learners: Vec<_> = members["members"]
        .as_array()
        .expect("members")
        .iter()
        .filter(|member| member["isLearner"] == true)
        .map(|member| member["name"].clone())
        .collect();
    assert_eq!(learners, ["node2"]);
    ask(&["verify", text(&db)]).exits(0);
    let target: PathBuf = place.path().join("other");
    member(&file, 1, &target, &["--learners", "node4"]).refuses(2).says("not in the initial cluster");
    member(&file, 1, &target, &["--learners", "node1,node2,node3"]).refuses(2).says("leader");
    let answer = member(&file, 1, &target, &["--learners", "node1,node2", "--dry-run"]).exits(0);
    assert!(answer.err.contains("--max-learners=2"), "{}", answer.err);
}

#[test]
fn the_revision_is_moved_as_far_as_asked_or_as_is_safe() {
    let place = place();
    let target = place.path().join("etcd");
    let file = fixture("etcd-3.6");
    let after = |more: &[&str]| {
        let more = [more, &["--dry-run"]].concat();
        member(&file, 1, &target, &more).exits(0).json()["revisionAfter"].as_i64().expect("a revision")
    };
    assert_eq!(after(&[]), 157);
    assert_eq!(after(&["--bump-revision", "0"]), 157);
    assert_eq!(after(&["--bump-revision", "auto"]), 1_000_000_157);
    assert_eq!(after(&["--bump-revision", "auto", "--mark-compacted"]), 1_000_000_157);
    assert_eq!(after(&["--bump-revision", "5", "--mark-compacted"]), 162);
    let most = (1u64 << 62) - 157;
    assert_eq!(after(&["--bump-revision", &most.to_string(), "--mark-compacted"]), 1 << 62);
    let refused = |more: &[&str], says: &str| {
        member(&file, 1, &target, more).refuses(2).says(says);
    };
    refused(&["--bump-revision", &(most + 1).to_string(), "--mark-compacted"], "4611686018427387904");
    refused(&["--bump-revision", &u64::MAX.to_string(), "--mark-compacted"], "4611686018427387904");
    refused(&["--bump-revision", "5"], "go together");
    refused(&["--mark-compacted"], "go together");
    refused(&["--bump-revision", "0", "--mark-compacted"], "moves nothing");
    refused(&["--bump-revision", "-1", "--mark-compacted"], "auto");
    refused(&["--bump-revision", "Auto"], "auto");
}
