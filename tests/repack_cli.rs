//! `repack` as a user meets it.

mod harness;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use harness::{ask, fixture, tree};

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn text(path: &Path) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}

/// The data directory of a stopped member: the pages of a fixture, without digest,
/// with room behind them as etcd sets aside.
fn member(place: &Path, name: &str) -> std::path::PathBuf {
    let mut db = fs::read(fixture(name)).expect("a fixture");
    db.truncate(db.len() - 32);
    db.resize(db.len() + (1 << 20), 0);
    let snap = place.join("etcd/member/snap");
    fs::create_dir_all(&snap).expect("made");
    fs::write(snap.join("db"), db).expect("written");
    place.join("etcd")
}

#[test]
fn an_untouched_snapshot_comes_out_byte_for_byte() {
    let place = place();
    for name in harness::SNAPSHOTS {
        let out = place.path().join(name);
        ask(&["repack", &fixture(name), &text(&out)]).exits(0);
        assert!(fs::read(&out).expect("there") == fs::read(fixture(name)).expect("there"), "{name}");
        assert_eq!(fs::metadata(&out).expect("there").mode() & 0o777, 0o600);
    }
    assert_eq!(tree(place.path()).len(), harness::SNAPSHOTS.len(), "nothing else is left");
    let told = |file: &str, out: &str, more: &[&str]| {
        let out = text(&place.path().join(out));
        let page = ask(&[&["repack", file, &out], more].concat()).exits(0);
        page.text().lines().find(|line| line.contains("  content  ")).expect("told").trim_end().to_owned()
    };
    assert!(told(&fixture("etcd-3.6"), "same", &[]).ends_with("as in the source, byte for byte"));
    // As a member has its file: the second meta is the newer one.
    let mut db = fs::read(fixture("etcd-3.6")).expect("a fixture");
    db.truncate(db.len() - 32);
    let (first, second) = db.split_at_mut(4096);
    first[16..].swap_with_slice(&mut second[16..4096]);
    let file = place.path().join("db");
    fs::write(&file, &db).expect("written");
    assert!(told(&text(&file), "other", &[]).ends_with("byte for byte but for the first two pages"));
    assert!(fs::read(place.path().join("other")).expect("there")[..8192] != db[..8192]);
    assert!(
        fs::read(place.path().join("same")).expect("there") == fs::read(fixture("etcd-3.6")).expect("there")
    );
}

#[test]
fn what_comes_next_moves_the_revision_where_it_must() {
    let place = place();
    let file = fixture("k8s-1.35-etcd-3.6");
    for (name, flags, moves) in [
        ("out", &["--drop-resource", "events"][..], true),
        ("same", &[], false),
        ("compact", &["--compact", "now"], false),
        ("nothing", &["--drop-prefix", "/no such thing/"], false),
    ] {
        let out = text(&place.path().join(name));
        let page = ask(&[&["repack", &file, &out], flags].concat()).exits(0);
        let next = page.text().lines().find(|line| line.starts_with("  use:   ")).expect("told");
        let bump = if moves { "--bump-revision auto " } else { "" };
        assert_eq!(next, format!("  use:   etcdsnap restore {out} --data-dir DIR {bump}..."));
    }
}

#[test]
fn a_members_directory_gives_the_snapshot_that_etcd_would_have_saved() {
    let place = place();
    let directory = member(place.path(), "etcd-3.6");
    let db = directory.join("member/snap/db");
    let before = fs::read(&db).expect("there");
    for (index, source) in [directory.clone(), directory.join("member"), db.clone()].iter().enumerate() {
        let out = place.path().join(format!("out-{index}"));
        let answer = ask(&["repack", &text(source), &text(&out)]).exits(0);
        answer.says("warning: there is no log in");
        assert!(fs::read(&out).expect("there") == fs::read(fixture("etcd-3.6")).expect("there"));
    }
    assert!(fs::read(&db).expect("there") == before);
    let held = File::open(&db).expect("there");
    flock(&held, FlockOperation::NonBlockingLockExclusive).expect("locked, as etcd does");
    let out = text(&place.path().join("locked"));
    ask(&["repack", &text(&directory), &out]).refuses(2).says("locked");
    let empty = place.path().join("empty");
    fs::create_dir(&empty).expect("made");
    ask(&["repack", &text(&empty), &out]).refuses(2).says("holds no member's database");
}

#[test]
fn nothing_is_overwritten() {
    let place = place();
    let out = place.path().join("there.db");
    fs::write(&out, "mine").expect("written");
    ask(&["repack", &fixture("etcd-3.6"), &text(&out)]).refuses(2).says("exists");
    assert_eq!(fs::read(&out).expect("there"), b"mine");
    let nowhere = text(&place.path().join("missing/out.db"));
    ask(&["repack", &fixture("etcd-3.6"), &nowhere]).refuses(2).says("make the directory");
}

#[test]
fn damage_is_not_given_a_new_digest() {
    let place = place();
    let (file, out) = (place.path().join("file.db"), place.path().join("out.db"));
    let sound = fs::read(fixture("etcd-3.6")).expect("a fixture");
    // A bit of a value: only the digest can tell.
    let mut flipped = sound.clone();
    let at = flipped.windows(9).rposition(|window| window == b"key-00039").map_or(60_000, |at| at + 20);
    flipped[at] ^= 1;
    fs::write(&file, &flipped).expect("written");
    let args = ["repack", &text(&file), &text(&out)];
    ask(&args).refuses(1).says("--skip-hash-check");
    fs::write(&file, &sound[..40_000]).expect("written");
    ask(&args).refuses(1).says("etcdsnap verify");
    ask(&[&args[..], &["--skip-hash-check"]].concat()).refuses(1);
    fs::write(&file, "no database at all").expect("written");
    ask(&args).refuses(1).says("it is text");
    assert_eq!(tree(place.path()), ["file.db 18"]);
}

#[test]
fn a_digest_that_does_not_match_can_be_passed_over_with_a_warning() {
    let place = place();
    let (file, out) = (place.path().join("file.db"), place.path().join("out.db"));
    let mut bytes = fs::read(fixture("etcd-3.6")).expect("a fixture");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, &bytes).expect("written");
    ask(&["repack", "--skip-hash-check", &text(&file), &text(&out)])
        .exits(0)
        .says("warning: the digest does not match");
    assert!(fs::read(&out).expect("there") == fs::read(fixture("etcd-3.6")).expect("there"));
}

#[test]
fn a_plan_is_told_and_nothing_is_written() {
    let place = place();
    let out = text(&place.path().join("out.db"));
    let file = fixture("k8s-1.35-etcd-3.6");
    let answer =
        ask(&["repack", &file, &out, "--dry-run", "-o", "json", "--exclude-namespaces", "shop"]).exits(0);
    let plan = answer.json();
    assert_eq!(plan["written"], false);
    assert_eq!(plan["faithful"], false);
    assert_eq!(plan["revision"], plan["compactRevision"]);
    assert_eq!(plan["changes"]["leftOutKeys"], 21);
    assert_eq!(plan["changes"]["revisionBefore"], 301);
    assert_eq!(plan["warnings"][0]["code"], "not-faithful");
    assert_eq!(tree(place.path()), Vec::<String>::new());
}

#[test]
fn keys_that_are_left_out_are_gone_and_the_others_are_as_they_were() {
    let place = place();
    let file = fixture("k8s-1.35-etcd-3.6");
    let all = ask(&["keys", &file]).exits(0).text().to_owned();
    for (number, (flags, gone)) in [
        (&["--drop-resource", "events,leases"][..], &["/registry/events/", "/registry/leases/"][..]),
        (&["--drop-resource", "widgets"], &["/registry/example.com/widgets/"]),
        (
            &[
                "--drop-prefix",
                "/registry/configmaps/",
                "--drop-prefix-hex",
                "2f72656769737472792f706f64732f",
            ],
            &["/registry/configmaps/", "/registry/pods/"],
        ),
    ]
    .iter()
    .enumerate()
    {
        let out = text(&place.path().join(format!("{number}.db")));
        ask(&[&["repack", &file, &out], *flags].concat()).exits(0).says("left out");
        let left: String = all
            .lines()
            .filter(|key| !gone.iter().any(|gone| key.starts_with(gone)))
            .map(|key| format!("{key}\n"))
            .collect();
        assert_ne!(left, all);
        assert_eq!(ask(&["keys", &out]).exits(0).text(), left);
        ask(&["verify", &out]).exits(0);
        let value = ["value", "/registry/namespaces/default"];
        let ask_of = |file: &str| ask(&[value[0], file, value[1]]).exits(0).out;
        assert!(ask_of(&out) == ask_of(&file));
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let place = place();
    let out = text(&place.path().join("out.db"));
    let file = fixture("k8s-1.35-etcd-3.6");
    for (flags, code, says) in [
        (&["--drop-resource", "evnets"][..], 1, "events"),
        (&["--drop-resource", "events,pods/web"], 2, "pods/web is not the name of one"),
        (&["--drop-prefix", ""], 2, "all keys"),
        (&["--drop-prefix", "/a", "--compact", "5"], 2, "--compact REV"),
        (&["--expire-leases", "--detach-leases"], 2, "cannot be used with"),
        (&["--compact", "0"], 2, "a revision or `now`"),
        (&["--compact", "302"], 1, "in the future"),
        (&["--keep-prefix", "/nothing/"], 1, "no key would be left"),
        (&["--include-namespaces", "shopp"], 1, "not there"),
    ] {
        let answer = ask(&[&["repack", &file, &out], flags].concat()).exits(code);
        assert!(answer.err.contains(says), "{flags:?}: {}", answer.err);
    }
    assert_eq!(tree(place.path()), Vec::<String>::new());
}

#[test]
fn the_same_comes_out_every_time() {
    let place = place();
    let file = fixture("etcd-3.6");
    let flags = ["--expire-leases", "--disable-auth", "--compact", "now"];
    let outs = ["a", "b"].map(|name| text(&place.path().join(name)));
    for (out, threads) in outs.iter().zip(["1", "3"]) {
        ask(&[&["repack", &file, out, "--threads", threads], &flags[..]].concat()).exits(0);
    }
    assert!(fs::read(&outs[0]).expect("there") == fs::read(&outs[1]).expect("there"));
}

#[test]
fn what_is_wrong_with_the_digest_is_said_before_a_new_one_hides_it() {
    let place = place();
    let whole = fs::read(fixture("etcd-3.6")).expect("a fixture");
    let file = |name: &str, bytes: &[u8]| {
        let path = place.path().join(name);
        fs::write(&path, bytes).expect("written");
        text(&path)
    };
    let cases = [
        ("cut", whole[..whole.len() - 10].to_vec(), "digest-cut", "22 bytes: 10 are missing at the end"),
        ("longer", [&whole[..], &[0; 7]].concat(), "digest-cut", "39 bytes: 7 too many"),
        ("lost", whole[..whole.len() - 32].to_vec(), "digest-lost", "32 bytes were cut off"),
    ];
    for (name, bytes, code, told) in cases {
        let (source, out) = (file(name, &bytes), text(&place.path().join(format!("{name}.out"))));
        let answer = ask(&["repack", &source, &out, "-o", "json"]).exits(0).says(told);
        let warnings = answer.json()["warnings"].clone();
        assert_eq!(warnings[0]["code"], code, "{warnings}");
        assert_eq!(warnings.as_array().map(Vec::len), Some(1), "nothing else is wrong: {warnings}");
    }
    // Of a member's file nobody expects one.
    let mut changed = whole.clone();
    *changed.last_mut().expect("a byte") ^= 1;
    let source = file("changed", &changed);
    let out = text(&place.path().join("out"));
    ask(&["repack", &source, &out])
        .refuses(1)
        .says("expected SHA-256")
        .says("a new digest over it would only hide that");
    let cut = file("short", &whole[..whole.len() - 40]);
    ask(&["repack", &cut, &out]).refuses(1).says("8 are missing at the end");
}

#[test]
fn advice_can_be_pasted_whatever_the_name() {
    let place = place();
    let out = place.path().join("a 'b' $HOME.db");
    let answer = ask(&["repack", &fixture("etcd-3.6"), &text(&out)]).exits(0);
    let line =
        answer.text().lines().find_map(|line| line.trim().strip_prefix("check: etcdsnap ")).expect("advice");
    let script = format!("{} {line}", env!("CARGO_BIN_EXE_etcdsnap"));
    let status = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
    assert!(status.status.success(), "{script}: {}", String::from_utf8_lossy(&status.stderr));
}
