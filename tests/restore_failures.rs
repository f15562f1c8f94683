//! Restores that must not happen, that are interrupted, or that share a target:
//! nothing half done is ever left at the target, and the next try works.

mod harness;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use harness::restoring::{
    MEMBER, SEGMENT, THREE, URL, big, content, member, moments, mounting, no_mounts, nothing_else, place,
    restore, start, text,
};
use harness::{
    Answer, PROGRAM, SNAPSHOTS, Untouched, ask, fixture, fixtures, is_root, program, skipped, tree,
};

// Targets.

#[test]
fn an_absent_target_is_made_with_its_parents() {
    let place = place();
    let target = place.path().join("a/b/etcd");
    restore(&fixture("etcd-3.6"), &target, &[]).exits(0);
    assert_eq!(member(&target), MEMBER);
    nothing_else(&place.path().join("a/b"), &["etcd"]);
}

#[test]
fn parents_made_for_a_restore_that_fails_go_again() {
    let place = place();
    let file = changed(&place, |bytes| bytes.truncate(bytes.len() - 32));
    let (target, wal) = (place.path().join("a/b/etcd"), place.path().join("c/d/wal"));
    restore(&file, &target, &["--wal-dir", text(&wal)]).refuses(1);
    nothing_else(place.path(), &["changed.db"]);
}

#[test]
fn the_wal_cannot_go_where_the_database_goes() {
    let place = place();
    let target = place.path().join("etcd");
    for wal in ["etcd", "etcd/member", "etcd/member/snap"] {
        let wal = place.path().join(wal);
        restore(&fixture("etcd-3.6"), &target, &["--wal-dir", text(&wal)]).refuses(2);
        nothing_else(place.path(), &[]);
    }
}

#[test]
fn what_a_killed_restore_left_in_a_wal_directory_is_replaced() {
    for names in [&["etcdsnap-unfinished-restore"][..], &["etcdsnap-unfinished-restore", SEGMENT]] {
        for inside in [false, true] {
            let place = place();
            let target = place.path().join("etcd");
            let wal = if inside { target.join("wal") } else { place.path().join("wal") };
            fs::create_dir_all(&wal).expect("made");
            for name in names {
                let mark = format!("8 {}", text(&target));
                let content = if *name == SEGMENT { vec![0; 64] } else { mark.into_bytes() };
                fs::write(wal.join(name), content).expect("written");
            }
            fs::create_dir(wal.join(".etcdsnap-restore")).expect("made");
            restore(&fixture("etcd-3.6"), &target, &["--wal-dir", text(&wal)]).exits(0);
            nothing_else(&wal, &[SEGMENT]);
            assert_eq!(fs::metadata(wal.join(SEGMENT)).expect("there").len(), 64_000_000);
        }
    }
}

#[test]
fn what_a_killed_restore_left_beside_a_target_that_came_since_is_removed() {
    let place = place();
    let (target, wal) = (place.path().join("etcd"), place.path().join("wal"));
    for path in [&target, &wal] {
        fs::create_dir(path).expect("made");
        let left =
            place.path().join(format!(".{}.etcdsnap-restore", path.file_name().expect("named").display()));
        fs::create_dir_all(left.join("tree/member")).expect("made");
        fs::write(left.join("lock"), "").expect("written");
    }
    restore(&fixture("etcd-3.6"), &target, &["--wal-dir", text(&wal)]).exits(0);
    nothing_else(place.path(), &["etcd", "wal"]);
}

#[test]
fn a_wal_that_is_somebodys_is_never_replaced() {
    let place = place();
    let (first, second, wal) = (place.path().join("a"), place.path().join("b"), place.path().join("wal"));
    restore(&fixture("etcd-3.6"), &first, &["--wal-dir", text(&wal)]).exits(0);
    let mark = wal.join("etcdsnap-unfinished-restore");
    let refused = || {
        restore(&fixture("etcd-3.6"), &second, &["--wal-dir", text(&wal)]).refuses(2);
        assert!(wal.join(SEGMENT).exists() && !second.exists());
    };
    // As if killed between the last rename and the removal of the mark.
    fs::write(&mark, format!("288 {}", text(&first))).expect("written");
    refused();
    assert!(!mark.exists(), "that restore is complete");
    // Marks that say nothing, or of a WAL that was written to since.
    for content in [String::new(), format!("0 {}", text(&second)), format!("x {}", text(&second))] {
        fs::write(&mark, content).expect("written");
        refused();
    }
    // And never what no restore has made.
    fs::write(&mark, format!("288 {}", text(&second))).expect("written");
    fs::write(wal.join("precious"), "precious").expect("written");
    refused();
    assert!(wal.join("precious").exists());
}

#[test]
fn a_staging_place_that_is_somebodys_is_left_alone() {
    let place = place();
    let (precious, target) = (place.path().join("precious"), place.path().join("etcd"));
    let staging = place.path().join(".etcd.etcdsnap-restore");
    fs::create_dir(&precious).expect("made");
    fs::write(precious.join("file"), "precious").expect("written");
    std::os::unix::fs::symlink(&precious, &staging).expect("linked");
    restore(&fixture("etcd-3.6"), &target, &[]).refuses(2);
    fs::remove_file(&staging).expect("removed");
    fs::rename(&precious, &staging).expect("renamed");
    restore(&fixture("etcd-3.6"), &target, &[]).refuses(2);
    assert!(staging.join("file").exists() && !target.exists());
}

#[test]
fn an_empty_target_is_filled_and_keeps_its_mode() {
    let place = place();
    let target = place.path().join("etcd");
    fs::create_dir(&target).expect("made");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o750)).expect("set");
    restore(&fixture("etcd-3.6"), &target, &[]).exits(0);
    assert_eq!(member(&target), MEMBER);
    assert_eq!(fs::metadata(&target).expect("there").mode() & 0o7777, 0o750);
    nothing_else(place.path(), &["etcd"]);
}

#[test]
fn lost_and_found_counts_as_empty() {
    let place = place();
    let target = place.path().join("etcd");
    fs::create_dir_all(target.join("lost+found")).expect("made");
    restore(&fixture("etcd-3.6"), &target, &[]).exits(0);
    nothing_else(&target, &["lost+found", "member"]);
}

#[test]
fn a_target_that_is_not_empty_is_refused_and_stays_as_it_is() {
    let place = place();
    let target = place.path().join("etcd");
    fs::create_dir_all(target.join("member/snap")).expect("made");
    fs::write(target.join("member/snap/db"), "precious").expect("written");
    let before = tree(place.path());
    restore(&fixture("etcd-3.6"), &target, &[]).refuses(2).says("not empty").says("member");
    assert_eq!(tree(place.path()), before);
    assert_eq!(fs::read_to_string(target.join("member/snap/db")).expect("there"), "precious");
}

#[test]
fn a_target_in_use_by_etcd_is_refused_by_that_name() {
    let place = place();
    let target = place.path().join("etcd");
    restore(&fixture("etcd-3.6"), &target, &[]).exits(0);
    let db = File::open(target.join("member/snap/db")).expect("there");
    flock(&db, FlockOperation::NonBlockingLockExclusive).expect("locked, as etcd does");
    restore(&fixture("etcd-3.6"), &target, &[]).refuses(2).says("in use by a running etcd");
}

#[test]
fn a_target_that_is_a_file_is_refused() {
    let place = place();
    let target = place.path().join("etcd");
    fs::write(&target, "precious").expect("written");
    restore(&fixture("etcd-3.6"), &target, &[]).refuses(2).says("not a directory");
    assert_eq!(fs::read_to_string(&target).expect("there"), "precious");
    nothing_else(place.path(), &["etcd"]);
}

#[test]
fn a_target_that_cannot_be_reached_is_refused_with_the_reason() {
    let place = place();
    fs::write(place.path().join("file"), "precious").expect("written");
    std::os::unix::fs::symlink("nowhere", place.path().join("link")).expect("made");
    let before = tree(place.path());
    for (target, words) in [
        ("file/etcd", "file is not a directory"),
        ("file/a/b", "file is not a directory"),
        ("file/../etcd", "file is not a directory"),
        ("file/", "not a directory"),
        ("link", "link is a symbolic link to nowhere, which does not exist"),
        ("link/etcd", "link is a symbolic link to nowhere, which does not exist"),
        ("nothing/../etcd", "nothing does not exist"),
        ("nothing/..", "nothing does not exist"),
    ] {
        let (target, other) = (place.path().join(target), place.path().join("etcd"));
        restore(&fixture("etcd-3.6"), &target, &[]).refuses(2).says(words);
        restore(&fixture("etcd-3.6"), &other, &["--wal-dir", text(&target)]).refuses(2).says(words);
        assert_eq!(tree(place.path()), before, "{}", target.display());
    }
    // Up again from what is there is a way like any other.
    fs::create_dir(place.path().join("there")).expect("made");
    restore(&fixture("etcd-3.6"), &place.path().join("there/../etcd"), &[]).exits(0);
    assert_eq!(member(&place.path().join("etcd")), MEMBER);
}

#[test]
fn a_missing_digest_is_told_once() {
    let place = place();
    let whole = fs::read(fixture("etcd-3.6")).expect("a fixture");
    // Without the digest, with a part of it, and with the one of other bytes.
    for (name, length) in [("lost", whole.len() - 32), ("cut", whole.len() - 7)] {
        let file = place.path().join(name);
        fs::write(&file, &whole[..length]).expect("written");
        let target = place.path().join(format!("{name}.etcd"));
        let answer = restore(text(&file), &target, &["--skip-hash-check"]).exits(0).says("no digest");
        let warnings: Vec<_> = answer.err.lines().filter(|line| line.starts_with("warning: ")).collect();
        assert_eq!(warnings.len(), 2, "the digest, and that auth is on: {warnings:#?}");
    }
}

#[test]
fn a_wal_directory_that_is_not_empty_is_refused() {
    let place = place();
    let wal = place.path().join("wal");
    fs::create_dir(&wal).expect("made");
    fs::write(wal.join("x"), "precious").expect("written");
    let target = place.path().join("etcd");
    restore(&fixture("etcd-3.6"), &target, &["--wal-dir", text(&wal)]).refuses(2).says("not empty");
    nothing_else(place.path(), &["wal"]);
    nothing_else(&wal, &["x"]);
}

#[test]
fn a_wal_directory_may_be_elsewhere_inside_or_empty() {
    for (wal, exists) in [("wal", false), ("wal", true), ("etcd/wal", false)] {
        let place = place();
        let (target, wal) = (place.path().join("etcd"), place.path().join(wal));
        if exists {
            fs::create_dir(&wal).expect("made");
        }
        restore(&fixture("etcd-3.6"), &target, &["--wal-dir", text(&wal)]).exits(0);
        nothing_else(&wal, &["0000000000000000-0000000000000000.wal"]);
        nothing_else(&target.join("member"), &["snap"]);
        let beside = if wal.starts_with(&target) { vec!["etcd"] } else { vec!["etcd", "wal"] };
        nothing_else(place.path(), &beside);
    }
}

// Mounts.

#[test]
fn a_mount_point_is_a_target() {
    if no_mounts("a mount point as target") {
        return;
    }
    let place = place();
    let script = "mkdir $P/m; mount -t tmpfs -o size=100m tmpfs $P/m; $E -q restore $FILE --data-dir $P/m >$P/log; \
                  mountpoint -q $P/m; (cd $P/m && find . | sort); ls -A $P; $E verify -q $P/m/member/snap/db >$P/log";
    let answer = mounting(&place, script).exits(0);
    let expected = "\
.
./member
./member/snap
./member/snap/0000000000000001-0000000000000001.snap
./member/snap/db
./member/wal
./member/wal/0000000000000000-0000000000000000.wal
log
m
";
    assert_eq!(answer.text(), expected);
}

#[test]
fn a_plan_for_a_small_disk_says_it_in_the_units_of_the_error() {
    if no_mounts("a small disk") {
        return;
    }
    let place = place();
    let script = "mkdir $P/m; mount -t tmpfs -o size=32m tmpfs $P/m
         $E -q restore $FILE --data-dir $P/m --dry-run || echo code $?
         $E -q restore $FILE --data-dir $P/m --dry-run -o json || echo code $?";
    let answer = mounting(&place, script).says("code 2\n").says("m has 34 MB free, 65 MB are needed\n");
    let row = answer.text().lines().find(|line| line.starts_with("  target")).expect("a row");
    let words = row.split_once("CANNOT BE USED: ").expect("a reason").1;
    assert!(answer.err.contains(&format!("error: {words}\n")), "{row}\n{}", answer.err);
    assert!(answer.text().contains(&format!("\"problem\": \"{words}\"")), "{}", answer.text());
}

#[test]
fn a_full_disk_leaves_nothing_and_the_next_try_works() {
    if no_mounts("a full disk") {
        return;
    }
    // Found too small beforehand, the WAL's disk too; full in the middle.
    for (options, target, more, words) in [
        ("size=32m", "m", "", "has 34 MB free, 65 MB are needed"),
        ("size=32m", "m/etcd", "", "has 34 MB free, 65 MB are needed"),
        ("size=100m,nr_inodes=5", "m", "", "the disk is full"),
        ("size=100m,nr_inodes=6", "m/etcd", "", "the disk is full"),
        ("size=16m", "etcd", "--wal-dir $P/m/wal", "m has 17 MB free, 65 MB are needed"),
        ("size=16m", "etcd", "--wal-dir $P/m", "has 17 MB free, 65 MB are needed"),
        ("size=100m,nr_inodes=4", "etcd", "--wal-dir $P/m/wal", "the disk is full"),
    ] {
        let place = place();
        let script = format!(
            "mkdir $P/m; mount -t tmpfs -o {options} tmpfs $P/m
             code=0; $E -q restore $FILE --data-dir $P/{target} {more} >/dev/null || code=$?
             echo code $code; (cd $P && find .)
             mount -o remount,size=100m,nr_inodes=1000 $P/m
             $E -q restore $FILE --data-dir $P/{target} {more} >/dev/null
             $E -q verify $P/{target}/member/snap/db >/dev/null && echo restored
             find $P -name '.*etcdsnap*' -o -name '*unfinished*'"
        );
        let answer = mounting(&place, &script);
        let said = format!("{options} {target} {more}\n{}{}", answer.text(), answer.err);
        assert_eq!(answer.code, Some(0), "{said}");
        assert_eq!(answer.text(), "code 2\n.\n./m\nrestored\n", "{said}");
        let errors: Vec<_> = answer.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{said}");
        assert!(answer.err.contains("  hint: ") && answer.err.contains(words), "{said}");
    }
}

// Killed runs.

/// Kills a restore at some moments spread over the time that one takes.
fn killed(moments: u32, wal: Option<&str>, existing_wal: bool) {
    let place = place();
    let target = place.path().join("etcd");
    let wal_dir = wal.map_or_else(|| target.join("member/wal"), |wal| place.path().join(wal));
    let more: Vec<&str> = if wal.is_some() { vec!["--wal-dir", text(&wal_dir)] } else { Vec::new() };
    let clear = || {
        // As it was before: absent, or an empty directory.

        for path in [&target, &wal_dir] {
            if path.exists() {
                fs::remove_dir_all(path).expect("removed");
            }
        }
        if existing_wal {
            fs::create_dir_all(&wal_dir).expect("made");
        }
    };
    clear();
    ask(&["-q", "verify", big()]).exits(0);
    let begin = Instant::now();
    let whole = start(&target, &more).wait_with_output().expect("ended");
    Answer::from_output("an undisturbed run", whole).exits(0);
    let took = begin.elapsed();
    let expected = content(&target, &wal_dir);
    clear();
    let (mut complete, mut staging_left) = (0, 0);
    for moment in 0..moments {
        let mut run = start(&target, &more);
        // More of them towards the end, where the renames are.
        let share = 1.05 - (1.0 - f64::from(moment) / f64::from(moments - 1)).powi(2);
        std::thread::sleep(took.mul_f64(share.max(0.0)));
        run.kill().expect("it was ours to kill");
        run.wait().expect("ended");
        let db = target.join("member/snap/db");
        if db.exists() {
            complete += 1;
            assert!(content(&target, &wal_dir) == expected, "moment {moment}: half a directory");
            ask(&["-q", "verify", "--require-digest", text(&db)]).exits(1);
            ask(&["-q", "verify", text(&db)]).exits(0);
            let mark = wal_dir.join("etcdsnap-unfinished-restore");
            if mark.exists() {
                fs::remove_file(mark).expect("removed");
            }
            let _ = fs::remove_dir_all(wal_dir.join(".etcdsnap-restore"));
            nothing_else(&wal_dir, &[SEGMENT]);
            restore(big(), &target, &more).refuses(2).says("not empty");
        } else {
            assert!(!target.join("member").exists(), "moment {moment}: member without a db");
            staging_left +=
                usize::from(tree(place.path()).iter().any(|path| path.contains(".etcdsnap-restore")));
            Answer::of(program().args(["-q", "restore", big(), "--data-dir", text(&target)]).args(&more))
                .exits(0);
            assert!(content(&target, &wal_dir) == expected, "moment {moment}: the second run");
            nothing_else(&wal_dir, &[SEGMENT]);
        }
        clear();
        // What is left after a run that ended well: nothing.
        if !complete_leftovers(place.path(), existing_wal) {
            panic!("moment {moment}: something is left: {:?}", tree(place.path()));
        }
    }
    assert!(staging_left > 0, "no kill came in the middle: {complete} runs were complete");
}

/// Removes what a kill after the publication may leave, and tells whether
/// anything else is there.
fn complete_leftovers(parent: &Path, wal: bool) -> bool {
    for entry in fs::read_dir(parent).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if wal && name == "wal" {
            continue;
        }
        if !name.ends_with(".etcdsnap-restore") {
            return false;
        }
        fs::remove_dir_all(path).expect("removed");
    }
    true
}

#[test]
fn a_killed_restore_leaves_all_or_nothing_and_a_rerun_succeeds() {
    killed(moments(20), None, false);
}

#[test]
fn a_killed_restore_with_a_wal_elsewhere_never_leaves_a_database_without_it() {
    killed(moments(20), Some("wal"), false);
}

#[test]
fn a_killed_restore_with_a_wal_in_an_existing_directory_does_neither() {
    killed(moments(8), Some("wal"), true);
}

#[test]
fn a_killed_restore_with_a_wal_inside_the_data_directory_does_neither() {
    killed(moments(8), Some("etcd/wal"), false);
}

#[test]
fn of_two_restores_to_one_target_exactly_one_wins() {
    for existing in [false, true] {
        for round in 0..3 {
            let place = place();
            let target = place.path().join("etcd");
            if existing {
                fs::create_dir(&target).expect("made");
            }
            let runs = [start(&target, &[]), start(&target, &[])];
            let answers =
                runs.map(|run| Answer::from_output("one of two", run.wait_with_output().expect("ended")));
            let won = answers.iter().filter(|answer| answer.code == Some(0)).count();
            assert_eq!(won, 1, "existing {existing}, round {round}: {answers:?}");
            for answer in answers {
                if answer.code != Some(0) {
                    answer.refuses(2);
                }
            }
            assert_eq!(member(&target), MEMBER);
            ask(&["-q", "verify", text(&target.join("member/snap/db"))]).exits(0);
            nothing_else(place.path(), &["etcd"]);
        }
    }
}

// Digests and damage.

/// A copy of a fixture, changed.
fn changed(place: &TempDir, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = fs::read(fixture("etcd-3.6")).expect("a fixture");
    change(&mut bytes);
    let path = place.path().join("changed.db");
    fs::write(&path, bytes).expect("written");
    text(&path).to_owned()
}

/// Where a value's bytes are, that nothing but the digest protects.
fn inside_a_value(bytes: &[u8]) -> usize {
    let key = b"plain/key30";
    bytes.windows(key.len()).rposition(|window| window == key).expect("the key is there") + 200
}

#[test]
fn a_wrong_digest_is_refused_unless_asked_for() {
    let place = place();
    let file = changed(&place, |bytes| {
        let at = inside_a_value(bytes);
        bytes[at] ^= 1;
    });
    let target = place.path().join("etcd");
    let answer =
        restore(&file, &target, &[]).refuses(1).says("digest does not match").says("--skip-hash-check");
    // What was found is no advice.
    answer.says("\n  expected SHA-256 ");
    nothing_else(place.path(), &["changed.db"]);
    restore(&file, &target, &["--skip-hash-check"]).exits(0).says("warning: the digest does not match");
    assert_eq!(member(&target), MEMBER);
}

#[test]
fn a_missing_digest_is_refused_unless_asked_for() {
    let place = place();
    let file = changed(&place, |bytes| bytes.truncate(bytes.len() - 32));
    let target = place.path().join("etcd");
    restore(&file, &target, &[]).refuses(1).says("no digest").says("--skip-hash-check");
    nothing_else(place.path(), &["changed.db"]);
    restore(&file, &target, &["--skip-hash-check"]).exits(0).says("warning: there was no digest");
    assert_eq!(member(&target), MEMBER);
}

#[test]
fn damage_is_refused_with_or_without_the_digest() {
    let place = place();
    let file = changed(&place, |bytes| bytes.truncate(bytes.len() / 2));
    let target = place.path().join("etcd");
    for more in [&[][..], &["--skip-hash-check"]] {
        restore(&file, &target, more).refuses(1).says("damaged").says("\n  file: truncated (1): ");
        nothing_else(place.path(), &["changed.db"]);
    }
}

/// A FIFO is where two programs wait for each other: the keys are asked for when the
/// snapshot is open, and come when there is nothing in it any more.
#[test]
fn a_snapshot_that_is_lost_while_it_is_read_is_not_called_something_else() {
    let place = place();
    let (file, out) = (changed(&place, |_| ()), place.path().join("out"));
    let keys = place.path().join("keys");
    assert!(Command::new("mkfifo").arg(&keys).status().is_ok_and(|done| done.success()));
    let mut command = program();
    command.args(["restore", &file, "--data-dir", text(&out)]);
    command.args(["--encryption-config", text(&keys), "--drop-prefix", "plain/"]);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let begin = Instant::now();
    let mut writer = loop {
        let writer = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&keys);
        match writer {
            Ok(writer) => break writer,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(30), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    File::options().write(true).open(&file).and_then(|file| file.set_len(0)).expect("emptied");
    let configuration = fs::read(fixtures().join("snapshots/encryption-config.yaml")).expect("keys");
    writer.write_all(&configuration).expect("read");
    drop(writer);
    let answer = Answer::from_output("restore", run.wait_with_output().expect("ended"));
    answer.refuses(2).says("changed while it was read").says("copy the file first");
    nothing_else(place.path(), &["changed.db", "keys"]);
}

// Owner and mode.

fn owners(target: &Path) -> Vec<(String, u32, u32)> {
    let mut paths = vec![String::new()];
    paths.extend(member(target));
    let owner = |name: String| {
        let metadata = fs::metadata(target.join(&name)).expect("there");
        (name, metadata.uid(), metadata.gid())
    };
    paths.into_iter().map(owner).collect()
}

#[test]
fn everything_belongs_to_the_owner_that_was_named() {
    if !is_root() {
        return skipped("--owner", "only root gives files away");
    }
    let place = place();
    let (target, wal) = (place.path().join("etcd"), place.path().join("wal"));
    restore(&fixture("etcd-3.6"), &target, &["--owner", "12345:54321", "--wal-dir", text(&wal)]).exits(0);
    for (name, uid, gid) in owners(&target).into_iter().chain(owners(&wal)) {
        assert_eq!((uid, gid), (12345, 54321), "{name:?}");
    }
    restore(&fixture("etcd-3.6"), &place.path().join("x"), &["--owner", "nobody-at-all:0"]).refuses(2);
}

#[test]
fn an_existing_target_hands_its_owner_to_what_is_in_it() {
    if !is_root() {
        return skipped("the owner of an existing target", "only root gives files away");
    }
    let place = place();
    let target = place.path().join("etcd");
    fs::create_dir(&target).expect("made");
    std::os::unix::fs::chown(&target, Some(1234), Some(4321)).expect("given away");
    restore(&fixture("etcd-3.6"), &target, &[]).exits(0);
    for (name, uid, gid) in owners(&target) {
        assert_eq!((uid, gid), (1234, 4321), "{name:?}");
    }
}

#[test]
fn the_mode_of_the_data_directory_can_be_chosen() {
    for existing in [false, true] {
        let place = place();
        let target = place.path().join("etcd");
        if existing {
            fs::create_dir(&target).expect("made");
        }
        restore(&fixture("etcd-3.6"), &target, &["--mode", "750"]).exits(0);
        assert_eq!(fs::metadata(&target).expect("there").mode() & 0o7777, 0o750);
        assert_eq!(fs::metadata(target.join("member")).expect("there").mode() & 0o7777, 0o700);
        restore(&fixture("etcd-3.6"), &place.path().join("x"), &["--mode", "rwx"]).refuses(2);
    }
}

#[test]
fn modes_do_not_depend_on_the_umask_but_for_snap() {
    for (umask, snap) in [("022", 0o644), ("077", 0o600), ("000", 0o666), ("177", 0o600)] {
        let place = place();
        let target = place.path().join("etcd");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), PROGRAM, "-q", "restore"]);
        command.args([&fixture("etcd-3.6"), "--data-dir", text(&target)]);
        Answer::of(&mut command).exits(0);
        for name in [""].into_iter().chain(MEMBER) {
            let mode = fs::metadata(target.join(name)).expect("there").mode() & 0o7777;
            let expected = match name {
                name if name.ends_with(".snap") => snap,
                name if name.is_empty() || name.ends_with('/') => 0o700,
                _ => 0o600,
            };
            assert_eq!(mode, expected, "umask {umask}, {name:?}: {mode:o}");
        }
    }
}

// The two ways of recovery, as they are typed.

#[test]
fn way_1_one_new_member_with_the_id_that_upstream_gives_it() {
    let place = place();
    let target = place.path().join("etcd");
    let answer = ask(&[
        "restore",
        &fixture("etcd-3.6"),
        "--data-dir",
        text(&target),
        "--name=node1",
        "--initial-advertise-peer-urls=https://10.20.30.101:2380",
        "--initial-cluster=node1=https://10.20.30.101:2380",
        "-o",
        "json",
    ])
    .exits(0);
    let page = answer.json();
    assert_eq!(page["memberId"], "61646feeb29fa0bd");
    assert_eq!(page["clusterId"], "5bcc13b438f35d3b");
    assert_eq!(page["members"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["schemaVersion"], 1);
    let db = target.join("member/snap/db");
    let members = ask(&["members", "-w", "simple", text(&db)]).exits(0);
    assert!(members.text().starts_with("61646feeb29fa0bd, "), "{}", members.text());
    assert_eq!(members.text().lines().count(), 1);
}

#[test]
fn way_2_the_same_file_on_three_nodes_makes_one_cluster() {
    let place = place();
    let mut databases = Vec::new();
    for (name, id) in
        [("node1", "61646feeb29fa0bd"), ("node2", "11abc49c8f7d2160"), ("node3", "d1e1d6a7d887d1fd")]
    {
        let target = place.path().join(name);
        let page = ask(&[
            "snapshot",
            "restore",
            &fixture("etcd-3.6"),
            "--data-dir",
            text(&target),
            "--name",
            name,
            &format!("--initial-advertise-peer-urls=https://10.20.30.10{}:2380", &name[4..]),
            "--initial-cluster",
            THREE,
            "-o",
            "json",
        ])
        .exits(0)
        .json();
        assert_eq!(page["memberId"], id);
        assert_eq!(page["clusterId"], "2e33bdde1b2caf1f");
        databases.push(fs::read(target.join("member/snap/db")).expect("restored"));
    }
    assert!(databases.windows(2).all(|pair| pair[0] == pair[1]), "the same bytes on every node");
}

#[test]
fn a_membership_that_does_not_fit_is_refused_and_nothing_written() {
    let place = place();
    let target = place.path().join("etcd");
    let three = THREE;
    for (name, urls, cluster) in [
        ("node9", URL, three),
        ("node1", "https://10.20.30.102:2380", three),
        ("node1", "https://10.20.30.101:2381", three),
        ("node1", "http://10.20.30.101:2380", three),
        ("node1", "https://10.20.30.101:2380/path", three),
        ("node1", URL, "node1=https://10.20.30.101:2380/path"),
        ("node1", URL, "node1=https://10.20.30.101:2380,node2=https://10.20.30.101:2380"),
        ("node1", URL, "node1=https://10.20.30.101"),
        ("node1", URL, "node1=https://10.20.30.101:99999"),
        ("node1", URL, "node1=https://10.20.30.101:2380, node2=https://10.20.30.102:2380"),
        (" node1", URL, " node1=https://10.20.30.101:2380"),
        ("node1", "10.20.30.101:2380", three),
        ("node1", "", three),
        ("node1", URL, ""),
        ("node1", URL, "node1"),
        ("node1", URL, "=https://10.20.30.101:2380"),
        ("node1", "ftp://10.20.30.101:2380", "node1=ftp://10.20.30.101:2380"),
    ] {
        ask(&[
            "restore",
            &fixture("etcd-3.6"),
            "--data-dir",
            text(&target),
            "--name",
            name,
            "--initial-advertise-peer-urls",
            urls,
            "--initial-cluster",
            cluster,
        ])
        .refuses(2);
        assert_eq!(tree(place.path()), Vec::<String>::new(), "{name} {urls} {cluster}");
    }
}

#[test]
fn a_bump_needs_both_flags_and_room() {
    let place = place();
    let target = place.path().join("etcd");
    for more in [&["--bump-revision", "5"][..], &["--mark-compacted"]] {
        restore(&fixture("etcd-3.6"), &target, more).refuses(2);
    }
    let far = ["--mark-compacted", "--bump-revision", "9223372036854775807"];
    restore(&fixture("etcd-3.6"), &target, &far).refuses(2).says("the last that is allowed");
    assert_eq!(tree(place.path()), Vec::<String>::new());
}

#[test]
fn no_command_changes_its_input() {
    for name in SNAPSHOTS {
        let place = place();
        let file = place.path().join("input.db");
        fs::copy(fixture(name), &file).expect("copied");
        let input = text(&file).to_owned();
        let old = Untouched::of(&file);
        let target = place.path().join("etcd");
        for args in [
            &["verify", &input][..],
            &["verify", "--strict", "-o", "json", &input],
            &["status", &input],
            &["status", "-w", "table", &input],
            &["hashkv", &input],
            &["hashkv", &input, &input],
            &["members", &input],
            &["keys", &input],
            &["value", &input, "binval"],
            &["list", &input],
            &["list", "--no-mmap", "-A", &input],
            &["restore", &input, "--data-dir", text(&target), "--bump-revision", "9", "--mark-compacted"],
            &["restore", &input, "--data-dir", text(&target)],
        ] {
            ask(args);
            assert!(Untouched::of(&file) == old, "{args:?}");
        }
        assert_eq!(member(&target), MEMBER);
    }
}

#[test]
fn a_made_up_snapshot_is_sound() {
    ask(&["verify", "--require-digest", big()]).exits(0);
    let size = fs::metadata(big()).expect("there").len();
    assert!(size > 190_000_000, "{size}");
}
