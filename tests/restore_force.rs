//! `restore --force`: what is at the target goes aside whole, whatever happens, and
//! what comes in its place has its owner, mode and label.

mod harness;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{FlockOperation, XattrFlags, flock};

use harness::restoring::{
    MEMBER, SEGMENT, big, content, member, moments, mounting, no_mounts, nothing_else, place, restore, start,
    text,
};
use harness::{Answer, fixture, is_root, program, skipped, tree};

/// A member that was running: every file of it says "old".
fn old_member(data: &Path, wal: Option<&Path>) {
    let wal = wal.map_or_else(|| data.join("member/wal"), Path::to_owned);
    for directory in [&data.join("member/snap"), &wal] {
        fs::create_dir_all(directory).expect("made");
    }
    for file in [data.join("member/snap/db"), wal.join(SEGMENT), wal.join("0.tmp")] {
        fs::write(file, "old").expect("written");
    }
}

/// The names in a directory that end as things do which were moved aside.
fn aside(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains(".bak-2"))
        .collect();
    found.sort();
    found
}

fn is_old(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes == b"old")
}

#[test]
fn the_old_member_goes_aside_and_all_else_stays() {
    let place = place();
    let target = place.path().join("etcd");
    old_member(&target, None);
    fs::write(target.join("keep.me"), "precious").expect("written");
    let before = tree(&target.join("member"));
    // Twice in one second, perhaps: never the same name.
    for round in 1..=3 {
        let page = restore(&fixture("etcd-3.6"), &target, &["--force", "-o", "json"]).exits(0).json();
        let moved = aside(&target);
        assert_eq!(moved.len(), round);
        let to = page["movedAside"][0]["to"].as_str().expect("told");
        assert!(moved.iter().any(|path| text(path) == to), "{to}");
        let left: Vec<_> = page["leftAlone"].as_array().expect("told").iter().collect();
        assert_eq!(left.len(), round, "keep.me and those before: {left:?}");
        assert!(left.iter().any(|path| path.as_str() == Some(text(&target.join("keep.me")))));
    }
    assert_eq!(moved_trees(&target).iter().filter(|tree| **tree == before).count(), 1);
    assert!(is_old(&aside(&target)[0].join("snap/db")), "the first is the oldest");
    assert_eq!(fs::read(target.join("keep.me")).expect("there"), b"precious");
    assert_eq!(member(&target).iter().filter(|name| name.starts_with("member/")).count(), MEMBER.len());
    nothing_else(place.path(), &["etcd"]);
}

fn moved_trees(target: &Path) -> Vec<Vec<String>> {
    aside(target).iter().map(|path| tree(path)).collect()
}

#[test]
fn the_page_tells_where_the_old_data_is_and_the_way_back_works() {
    let place = place();
    let target = place.path().join("etcd");
    old_member(&target, None);
    let answer = restore(&fixture("etcd-3.6"), &target, &["--force"]).exits(0).says("aside     ");
    let way = answer.text().lines().find(|line| line.trim().starts_with("mv ")).expect("a way back");
    Answer::of(std::process::Command::new("sh").args(["-ec", way])).exits(0);
    assert!(is_old(&target.join("member/snap/db")));
    nothing_else(&target, &["member", "member.restored"]);
}

#[test]
fn the_way_back_has_the_directory_of_the_wal() {
    // Moved whole, or piece by piece out of a directory that holds other things.
    for others in [false, true] {
        let place = place();
        let (target, wal) = (place.path().join("etcd"), place.path().join("a wal"));
        old_member(&target, Some(&wal));
        if others {
            fs::write(wal.join("keep.me"), "precious").expect("written");
        }
        let flags = ["--force", "--force", "--wal-dir", text(&wal)];
        let answer = restore(&fixture("etcd-3.6"), &target, &flags).exits(0);
        let start = format!("start etcd on them with --wal-dir '{}'", text(&wal));
        let answer = answer.says(&start);
        let ways = answer.text().lines().map(str::trim).filter(|line| line.contains(" && mv "));
        let script: Vec<&str> = ways.collect();
        assert_eq!(script.len(), 2, "{script:?}");
        Answer::of(std::process::Command::new("sh").args(["-ec", &script.join("\n")])).exits(0);
        assert!(
            is_old(&target.join("member/snap/db"))
                && is_old(&wal.join(SEGMENT))
                && is_old(&wal.join("0.tmp"))
        );
        assert_eq!(wal.join("keep.me").exists(), others);
        assert!(aside(&wal).is_empty() && aside(place.path()).is_empty());
    }
}

#[test]
fn of_a_member_whose_wal_was_elsewhere_the_way_back_says_so() {
    let place = place();
    let (target, wal) = (place.path().join("etcd"), place.path().join("wal"));
    let other = place.path().join("other wal");
    for more in [&[][..], &["--wal-dir", text(&other)]] {
        old_member(&target, Some(&wal));
        let force = [&["--force"], more].concat();
        for flags in [&["--dry-run", "-o", "json"][..], &["-o", "json"]] {
            let page = restore(&fixture("etcd-3.6"), &target, &[&force, flags].concat()).exits(0);
            let page = page.says("was started with a --wal-dir").json();
            let warned = page["warnings"].as_array().expect("warnings").iter();
            assert_eq!(warned.filter(|warning| warning["code"] == "old-wal-elsewhere").count(), 1, "{page}");
        }
        assert!(is_old(&wal.join(SEGMENT)));
        fs::remove_dir_all(&target).expect("ours");
        let _ = fs::remove_dir_all(&other);
        old_member(&target, Some(&wal));
        let answer = restore(&fixture("etcd-3.6"), &target, &force).exits(0);
        answer.says("its WAL was elsewhere: start etcd on it with the --wal-dir that it had");
        fs::remove_dir_all(&target).expect("ours");
        let _ = fs::remove_dir_all(&other);
    }
    // Nothing of that where the log was in it, or goes aside as well.
    for (old, more) in [(None, &["--force"][..]), (Some(&*wal), &["--force", "--wal-dir", text(&wal)])] {
        old_member(&target, old);
        let answer = restore(&fixture("etcd-3.6"), &target, more).exits(0);
        assert!(!format!("{}{}", answer.text(), answer.err).contains("elsewhere"), "{}", answer.text());
        assert!(!answer.err.contains("--wal-dir"), "{}", answer.err);
        fs::remove_dir_all(&target).expect("ours");
    }
}

#[test]
fn without_anything_there_force_changes_nothing() {
    for exists in [false, true] {
        let place = place();
        let target = place.path().join("etcd");
        if exists {
            fs::create_dir(&target).expect("made");
        }
        let page = restore(&fixture("etcd-3.6"), &target, &["--force", "-o", "json"]).exits(0).json();
        assert_eq!(page["movedAside"].as_array().map(Vec::len), Some(0));
        assert_eq!(member(&target), MEMBER);
    }
}

#[test]
fn a_refused_restore_moves_nothing() {
    let place = place();
    let target = place.path().join("etcd");
    let wal = place.path().join("wal");
    let file = place.path().join("cut.db");
    let bytes = fs::read(fixture("etcd-3.6")).expect("a fixture");
    fs::write(&file, &bytes[..bytes.len() / 2]).expect("written");
    for more in [&["--force"][..], &["--force", "--wal-dir", text(&wal)]] {
        old_member(&target, more.get(2).map(Path::new));
        let before = tree(place.path());
        restore(text(&file), &target, more).refuses(1);
        assert_eq!(tree(place.path()), before);
    }
}

#[test]
fn the_member_directory_itself_is_no_target() {
    let place = place();
    let target = place.path().join("etcd");
    restore(&fixture("etcd-3.6"), &target, &[]).exits(0);
    let member = target.join("member");
    let before = tree(place.path());
    let told = format!("is the member directory of a data directory; --data-dir is {}", text(&target));
    let held = File::open(member.join("snap/db")).expect("there");
    for locked in [false, true] {
        if locked {
            flock(&held, FlockOperation::NonBlockingLockExclusive).expect("as etcd does");
        }
        for more in [&[][..], &["--force"]] {
            restore(&fixture("etcd-3.6"), &member, more).refuses(2).says(&told);
            let dry = restore(&fixture("etcd-3.6"), &member, &[more, &["--dry-run"]].concat()).refuses(2);
            dry.says("CANNOT BE USED: ").says(&told);
        }
    }
    let linked = place.path().join("link");
    std::os::unix::fs::symlink(&member, &linked).expect("linked");
    restore(&fixture("etcd-3.6"), &linked, &["--force"]).refuses(2).says(&told);
    fs::remove_file(&linked).expect("removed");
    assert_eq!(tree(place.path()), before);
    drop(held);
    // One that was set aside is one, too; a log without its database by its name alone.
    let aside = place.path().join("old");
    fs::rename(&member, &aside).expect("moved");
    restore(&fixture("etcd-3.6"), &aside, &["--force"]).refuses(2).says("--data-dir is what holds `member`");
    fs::remove_dir_all(aside.join("snap")).expect("removed");
    fs::rename(&aside, &member).expect("moved");
    restore(&fixture("etcd-3.6"), &member, &["--force"]).refuses(2).says(&told);
}

#[test]
fn a_wal_inside_a_data_directory_makes_it_no_member() {
    let place = place();
    let target = place.path().join("member");
    let wal = target.join("wal");
    let elsewhere = ["--wal-dir", text(&wal)];
    restore(&fixture("etcd-3.6"), &target, &elsewhere).exits(0);
    restore(&fixture("etcd-3.6"), &target, &[&elsewhere[..], &["--force"]].concat()).exits(0);
    restore(&fixture("etcd-3.6"), &target, &["--force"]).exits(0);
}

#[test]
fn a_member_in_use_is_refused_by_database_and_by_wal() {
    let place = place();
    let target = place.path().join("etcd");
    old_member(&target, None);
    let before = tree(place.path());
    {
        let db = File::open(target.join("member/snap/db")).expect("there");
        flock(&db, FlockOperation::NonBlockingLockExclusive).expect("locked, as etcd does");
        restore(&fixture("etcd-3.6"), &target, &["--force"])
            .refuses(2)
            .says("in use by a running etcd")
            .says("manifest")
            .says("systemctl stop etcd");
    }
    // A WAL elsewhere, by a lock of the other kind.
    let wal = place.path().join("wal");
    old_member(&target, Some(&wal));
    let before_wal = tree(place.path());
    let segment = fs::OpenOptions::new().write(true).open(wal.join(SEGMENT)).expect("there");
    rustix::fs::fcntl_lock(&segment, FlockOperation::NonBlockingLockExclusive).expect("locked, as etcd does");
    restore(&fixture("etcd-3.6"), &target, &["--force", "--wal-dir", text(&wal)])
        .refuses(2)
        .says("in use by a running etcd")
        .says(SEGMENT);
    assert_eq!(tree(place.path()), before_wal);
    drop(segment);
    fs::remove_dir_all(&wal).expect("removed");
    assert_eq!(tree(place.path()), before);
}

#[test]
fn a_wal_elsewhere_goes_aside_with_its_member() {
    for (wal, precious) in [("wal", false), ("wal", true), ("etcd/wal", false)] {
        let place = place();
        let (target, wal) = (place.path().join("etcd"), place.path().join(wal));
        old_member(&target, Some(&wal));
        if precious {
            fs::write(wal.join("precious"), "old").expect("written");
        }
        let more = ["--force", "--wal-dir", text(&wal), "-o", "json"];
        let page = restore(&fixture("etcd-3.6"), &target, &more).exits(0).json();
        assert_eq!(page["movedAside"].as_array().map(Vec::len), Some(2), "{page}");
        assert!(is_old(&aside(&target)[0].join("snap/db")));
        let moved = if precious { aside(&wal) } else { aside(wal.parent().expect("a parent")) };
        let moved = moved.iter().find(|path| path.join(SEGMENT).exists()).expect("the old WAL");
        assert!(is_old(&moved.join(SEGMENT)) && is_old(&moved.join("0.tmp")));
        assert_eq!(is_old(&wal.join("precious")), precious);
        assert_eq!(fs::metadata(wal.join(SEGMENT)).expect("the new WAL").len(), 64_000_000);
        // And again, on top of what we wrote ourselves.
        restore(&fixture("etcd-3.6"), &target, &more).exits(0);
    }
}

#[test]
fn what_is_no_plain_directory_is_not_moved() {
    let place = place();
    let target = place.path().join("etcd");
    fs::create_dir_all(place.path().join("elsewhere")).expect("made");
    fs::create_dir(&target).expect("made");
    std::os::unix::fs::symlink(place.path().join("elsewhere"), target.join("member")).expect("linked");
    restore(&fixture("etcd-3.6"), &target, &["--force"]).refuses(2).says("cannot be moved aside");
    assert!(target.join("member").is_symlink());
}

#[test]
fn of_mount_points_the_content_moves_or_nothing() {
    if no_mounts("mount points and --force") {
        return;
    }
    // The data directory and the WAL's: what is in them.
    let place_1 = place();
    let script = "
        mkdir $P/m $P/w
        mount -t tmpfs -o size=300m tmpfs $P/m; mount -t tmpfs -o size=200m tmpfs $P/w
        restore() { $E -q restore $FILE --data-dir $P/m --wal-dir $P/w \"$@\" >/dev/null; }
        restore; echo old >$P/w/0.tmp
        restore --force
        mountpoint -q $P/m; mountpoint -q $P/w
        cat $P/w/wal.bak-*/0.tmp; ls $P/w/*.wal | wc -l; ls -d $P/m/member.bak-* | wc -l; ls -d $P/w/wal.bak-* | wc -l";
    assert_eq!(mounting(&place_1, script).exits(0).text(), "old\n1\n1\n1\n");
    // `member`, or its WAL: nothing, whatever the file system.
    for mounted in ["m/member", "m/member/wal"] {
        let place = place();
        let script = format!(
            "mkdir -p $P/m/member/wal; mount -t tmpfs -o size=300m tmpfs $P/{mounted}
             $E -q restore $FILE --data-dir $P/m --force || echo $?
             ls -A $P/m"
        );
        let answer = mounting(&place, &script).exits(0).says("it is a mount point");
        assert_eq!(answer.text(), "2\nmember\n");
    }
}

#[test]
fn owner_and_modes_are_those_of_what_is_replaced() {
    let place = place();
    let target = place.path().join("etcd");
    old_member(&target, None);
    let set = |name: &str, mode: u32| {
        fs::set_permissions(target.join(name), fs::Permissions::from_mode(mode)).expect("set");
    };
    for (name, mode) in [
        ("member", 0o750),
        ("member/snap", 0o710),
        ("member/wal", 0o700),
        ("member/snap/db", 0o640),
        (&format!("member/wal/{SEGMENT}"), 0o600),
    ] {
        set(name, mode);
    }
    if is_root() {
        for (name, uid) in [("member", 1001), ("member/snap", 1002), ("member/wal", 1003)] {
            std::os::unix::fs::chown(target.join(name), Some(uid), Some(uid + 1)).expect("given away");
        }
    } else {
        skipped("the owner of what is replaced", "only root gives files away");
    }
    restore(&fixture("etcd-3.6"), &target, &["--force"]).exits(0);
    let found = |name: &str| {
        let metadata = fs::metadata(target.join(name)).expect("there");
        (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
    };
    let caller = fs::metadata(place.path()).expect("there");
    let owner = |uid: u32| if is_root() { (uid, uid + 1) } else { (caller.uid(), caller.gid()) };
    let zero = if is_root() {
        (0, fs::metadata(aside(&target)[0].join("snap/db")).expect("there").gid())
    } else {
        owner(0)
    };
    for (name, mode, (uid, gid)) in [
        ("member", 0o750, owner(1001)),
        ("member/snap", 0o710, owner(1002)),
        ("member/snap/db", 0o640, zero),
        ("member/wal", 0o700, owner(1003)),
        (&format!("member/wal/{SEGMENT}"), 0o600, zero),
    ] {
        assert_eq!(found(name), (mode, uid, gid), "{name}");
    }
}

#[test]
fn the_label_of_what_is_replaced_is_that_of_what_comes() {
    let label = |path: &Path| {
        let mut buffer = vec![0; 256];
        let length = rustix::fs::getxattr(path, "security.selinux", buffer.as_mut_slice()).ok()?;
        String::from_utf8(buffer[..length].to_vec()).ok()
    };
    let set = |path: &Path, label: &str| {
        rustix::fs::setxattr(path, "security.selinux", label.as_bytes(), XattrFlags::empty())
    };
    for force in [true, false] {
        let place = place();
        let target = place.path().join("etcd");
        fs::create_dir(&target).expect("made");
        if set(&target, "system_u:object_r:etcd_var_lib_t:s0").is_err() {
            return skipped("SELinux labels", "only root may set them, on file systems that keep them");
        }
        let (all, wal) = if force {
            old_member(&target, None);
            set(&target.join("member"), "system_u:object_r:all_t:s0").expect("set");
            set(&target.join("member/wal"), "system_u:object_r:wal_t:s0").expect("set");
            ("system_u:object_r:all_t:s0", "system_u:object_r:wal_t:s0")
        } else {
            ("system_u:object_r:etcd_var_lib_t:s0", "system_u:object_r:etcd_var_lib_t:s0")
        };
        let more = if force { vec!["--force"] } else { Vec::new() };
        let answer = restore(&fixture("etcd-3.6"), &target, &more).exits(0);
        assert!(!answer.err.contains("SELinux"), "{}", answer.err);
        let found: Vec<_> = MEMBER.iter().map(|name| label(&target.join(name))).collect();
        for (name, found) in MEMBER.iter().zip(found) {
            // The old files beside the directories have none, so their directory's counts
            // only where there was no such file.
            let wanted = match *name {
                "member/snap/db" | "member/snap/" if force => None,
                name if name.ends_with(".wal") && force => None,
                name if name.starts_with("member/wal") => Some(wal),
                name if name.ends_with(".snap") && force => None,
                _ => Some(all),
            };
            assert_eq!(found.as_deref(), wanted, "{name}, force {force}");
        }
    }
}

/// Kills a forced restore at some moments: the old data is there, at its place or
/// aside, and the next run succeeds.
fn killed(moments: u32, wal: Option<&str>) {
    let place = place();
    let target = place.path().join("etcd");
    let wal_dir = wal.map_or_else(|| target.join("member/wal"), |wal| place.path().join(wal));
    let mut more = vec!["--force"];
    if wal.is_some() {
        more.extend(["--wal-dir", text(&wal_dir)]);
    }
    let again = || {
        for entry in fs::read_dir(place.path()).expect("a directory") {
            fs::remove_dir_all(entry.expect("an entry").path()).expect("removed");
        }
        old_member(&target, wal.map(|_| wal_dir.as_path()));
    };
    again();
    let begin = Instant::now();
    Answer::from_output("undisturbed", start(&target, &more).wait_with_output().expect("ended")).exits(0);
    let took = begin.elapsed();
    let expected = content(&target, &wal_dir);
    let (mut before, mut between, mut after) = (0, 0, 0);
    for moment in 0..moments {
        again();
        let mut run = start(&target, &more);
        let share = 1.05 - (1.0 - f64::from(moment) / f64::from(moments - 1)).powi(2);
        std::thread::sleep(took.mul_f64(share.max(0.0)));
        run.kill().expect("it was ours to kill");
        run.wait().expect("ended");
        // The old database is whole, at its place or aside, and never both.
        let olds = || {
            let mut members = aside(&target);
            members.push(target.join("member"));
            members.iter().filter(|member| is_old(&member.join("snap/db"))).count()
        };
        // Two directories cannot change at one moment.
        assert!(wal.is_some() || target.join("member").exists(), "moment {moment}: no member");
        assert_eq!(olds(), 1, "moment {moment}: {:?}", tree(place.path()));
        let old_wals =
            || tree(place.path()).iter().filter(|line| line.ends_with(&format!("{SEGMENT} 3"))).count();
        assert_eq!(old_wals(), 1, "moment {moment}: {:?}", tree(place.path()));
        match target.join("member/snap/db") {
            db if !db.exists() => between += 1,
            db if is_old(&db) => {
                before += 1;
                assert!(is_old(&wal_dir.join(SEGMENT)), "moment {moment}: an old database, another WAL");
            }
            _ => {
                after += 1;
                assert!(content(&target, &wal_dir) == expected, "moment {moment}: half a member");
            }
        }
        Answer::of(program().args(["-q", "restore", big(), "--data-dir", text(&target)]).args(&more))
            .exits(0);
        assert!(content(&target, &wal_dir) == expected, "moment {moment}: the second run");
        assert_eq!((olds(), old_wals()), (1, 1), "moment {moment}: {:?}", tree(place.path()));
        let left = tree(place.path());
        assert!(!left.iter().any(|line| line.contains("etcdsnap")), "moment {moment}: {left:?}");
    }
    eprintln!("{moments} kills: {before} before, {between} between, {after} after");
    assert!(before > 0, "no kill came in the middle");
}

#[test]
fn a_killed_restore_never_loses_the_old_member() {
    killed(moments(10), None);
}

#[test]
fn a_killed_restore_never_loses_the_old_member_nor_its_wal_elsewhere() {
    killed(moments(10), Some("wal"));
}
