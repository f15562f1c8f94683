//! `restore --all-members`: what each member's own restore would have made, all of
//! them or none.

mod harness;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use harness::restoring::{
    MEMBER, SEGMENT, THREE, big, member, moments, mounting, no_mounts, nothing_else, place, text,
};
use harness::{Answer, ask, fixture, is_root, program, skipped, tree};

const NAMES: [&str; 3] = ["node1", "node2", "node3"];

/// What each of three members has.
const OF_THREE: [&str; 6] = {
    let mut paths = MEMBER;
    paths[2] = "member/snap/0000000000000001-0000000000000003.snap";
    paths
};

fn all(file: &str, out: &Path, more: &[&str]) -> Answer {
    let mut args = vec!["restore", file, "--all-members", "--out-dir", text(out), "--initial-cluster", THREE];
    args.extend(more);
    ask(&args)
}

/// Bytes of all that a member's directory holds.
fn bytes(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let files = member(directory).into_iter().filter(|name| !name.ends_with('/'));
    files.map(|name| (name.clone(), fs::read(directory.join(name)).expect("there"))).collect()
}

/// Each member restored by itself.
fn one_by_one(file: &str, place: &Path) -> Vec<PathBuf> {
    let restored = |name: &str| {
        let target = place.join(format!("one-{name}"));
        let url = format!("https://10.20.30.10{}:2380", &name[4..]);
        let cluster = ["--initial-cluster", THREE, "--initial-advertise-peer-urls", &url];
        let args = ["-q", "restore", file, "--data-dir", text(&target), "--name", name];
        Answer::of(program().args(args).args(cluster)).exits(0);
        target
    };
    NAMES.into_iter().map(restored).collect()
}

#[test]
fn each_member_is_what_its_own_restore_makes() {
    let place = place();
    let out = place.path().join("a/out");
    let file = fixture("etcd-3.6");
    let page = all(&file, &out, &["-o", "json"]).exits(0).json();
    let ids = ["61646feeb29fa0bd", "11abc49c8f7d2160", "d1e1d6a7d887d1fd"];
    assert_eq!(page["clusterId"], "2e33bdde1b2caf1f");
    for ((index, name), one) in NAMES.iter().enumerate().zip(one_by_one(&file, place.path())) {
        let told = &page["members"][index];
        let directory = out.join(name);
        assert_eq!((&told["name"], &told["id"]), (&(*name).into(), &ids[index].into()));
        assert_eq!(told["dataDir"], text(&directory));
        assert_eq!(member(&directory), OF_THREE);
        assert!(bytes(&directory) == bytes(&one), "{name}");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o7777;
        for below in [""].into_iter().chain(OF_THREE) {
            assert_eq!(mode(&directory.join(below)), mode(&one.join(below)), "{name} {below}");
        }
    }
    nothing_else(&place.path().join("a"), &["out"]);
    nothing_else(&out, &NAMES);
}

#[test]
fn an_archive_is_what_tar_makes_of_the_directory() {
    let place = place();
    let (out, other) = (place.path().join("out"), place.path().join("other"));
    let file = fixture("etcd-3.6");
    let page = all(&file, &out, &["--tar", "--owner", "1000:1001", "-o", "json"]).exits(0).json();
    assert_eq!(page["members"][0]["tar"], text(&out.join("node1.tar")));
    nothing_else(&out, &["node1.tar", "node2.tar", "node3.tar"]);
    // The same bytes whenever and wherever it is made.
    all(&file, &other, &["--tar", "--owner", "1000:1001"]).exits(0);
    for (name, one) in NAMES.iter().zip(one_by_one(&file, place.path())) {
        let archive = out.join(format!("{name}.tar"));
        let ours = fs::read(&archive).expect("there");
        assert!(ours == fs::read(other.join(format!("{name}.tar"))).expect("there"), "{name}");
        // Zeros that are nowhere on disk.
        let metadata = fs::metadata(&archive).expect("there");
        assert!(metadata.len() > 64_000_000 && metadata.blocks() * 512 < 10_000_000, "{metadata:?}");
        let snap = OF_THREE[2];
        fs::set_permissions(one.join(snap), fs::Permissions::from_mode(0o600)).expect("set");
        let mut tar = Command::new("tar");
        tar.args(["--format=ustar", "--numeric-owner", "--owner=1000", "--group=1001"]);
        tar.args([
            "--mtime=@315532800",
            "--blocking-factor=1",
            "--no-recursion",
            "-C",
            text(&one),
            "-cf",
            "-",
        ]);
        let order = ["member/", "member/snap/", snap, "member/snap/db", "member/wal/", OF_THREE[5]];
        let theirs = tar.args(order).output().expect("GNU tar");
        assert!(theirs.status.success() && ours == theirs.stdout, "{name}: not the bytes of GNU tar");
    }
}

#[test]
fn every_tar_unpacks_an_archive() {
    let place = place();
    let out = place.path().join("out");
    all(&fixture("etcd-3.6"), &out, &["--tar"]).exits(0);
    let one = &one_by_one(&fixture("etcd-3.6"), place.path())[1];
    for program in [&["tar"][..], &["busybox", "tar"], &["bsdtar"]] {
        let target = place.path().join(program.join("-"));
        fs::create_dir(&target).expect("made");
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(["-xf", text(&out.join("node2.tar")), "-C", text(&target)]);
        let Ok(status) = command.status() else {
            skipped("unpacking an archive", &format!("there is no {}", program[0]));
            continue;
        };
        assert!(status.success(), "{program:?}");
        assert!(bytes(&target) == bytes(one), "{program:?}");
        for name in OF_THREE {
            let mode = fs::metadata(target.join(name)).expect("there").mode() & 0o777;
            assert_eq!(mode, if name.ends_with('/') { 0o700 } else { 0o600 }, "{program:?} {name}");
        }
        ask(&["-q", "verify", text(&target.join("member/snap/db"))]).exits(0);
    }
}

#[test]
fn the_directory_must_be_absent_or_empty() {
    let place = place();
    let out = place.path().join("out");
    let file = fixture("etcd-3.6");
    fs::create_dir(&out).expect("made");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o750)).expect("set");
    all(&file, &out, &[]).exits(0);
    assert_eq!(fs::metadata(&out).expect("there").mode() & 0o7777, 0o750);
    // What is complete is never touched again.
    let before = tree(place.path());
    all(&file, &out, &[])
        .refuses(2)
        .says("not empty")
        .says("node1, node2, node3")
        .says("an --out-dir that is not there yet");
    assert_eq!(tree(place.path()), before);
    fs::write(place.path().join("file"), "x").expect("written");
    all(&file, &place.path().join("file"), &[]).refuses(2).says("not a directory");
    all(&file, &place.path().join("file/x"), &[]).refuses(2);
    all(&file, &place.path().join("nothing/.."), &[]).refuses(2);
    all(&file, Path::new("/"), &[]).refuses(2);
    all(&file, Path::new("/proc/etcdsnap-out"), &[]).refuses(2);
}

#[test]
fn damage_leaves_nothing() {
    let place = place();
    let file = place.path().join("cut.db");
    let bytes = fs::read(fixture("etcd-3.6")).expect("a fixture");
    for (length, words) in [(bytes.len() / 2, "damaged"), (bytes.len() - 32, "no digest")] {
        fs::write(&file, &bytes[..length]).expect("written");
        for more in [&[][..], &["--tar"]] {
            all(text(&file), &place.path().join("a/out"), more).refuses(1).says(words);
            nothing_else(place.path(), &["cut.db"]);
        }
    }
}

#[test]
fn flags_for_one_member_are_refused_with_the_reason() {
    let place = place();
    let out = place.path().join("out");
    for (more, why) in [
        (&["--name", "node1"][..], "every member has its own"),
        (&["--initial-advertise-peer-urls", "https://10.20.30.101:2380"], "announces "),
        (&["--data-dir", "/x"], "a directory of its own"),
        (&["--wal-dir", "/x"], "goes with its member"),
        (&["--force"], "not there yet"),
        (&["--tar", "--mode", "750"], "no data directory in an archive"),
    ] {
        all(&fixture("etcd-3.6"), &out, more).refuses(2).says("cannot be used with").says(why);
    }
    let file = fixture("etcd-3.6");
    for args in [&["--all-members"][..], &["--out-dir", "/x"], &["--tar"]] {
        let mut words = vec!["restore", &file];
        words.extend(args);
        ask(&words).refuses(2);
    }
    assert_eq!(tree(place.path()), Vec::<String>::new());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let place = place();
    let out = place.path().join("out");
    let long = "n".repeat(300);
    for name in [".", "..", "../x", "/x", "a/b", "a\u{1b}b", &long] {
        let cluster = format!("ok=http://10.0.0.1:2380,{name}=http://10.0.0.2:2380");
        for more in [&[][..], &["--tar"]] {
            let file = fixture("etcd-3.6");
            let mut args = vec!["restore", &file, "--all-members", "--out-dir", text(&out)];
            args.extend(["--initial-cluster", &cluster]);
            args.extend(more);
            ask(&args).refuses(2).says("member name");
            assert_eq!(tree(place.path()), Vec::<String>::new(), "{name:?}");
        }
    }
}

#[test]
fn the_owner_is_that_of_every_member() {
    if !is_root() {
        return skipped("--owner with --all-members", "only root gives files away");
    }
    let place = place();
    let out = place.path().join("out");
    all(&fixture("etcd-3.6"), &out, &["--owner", "1234:4321", "--mode", "750"]).exits(0);
    for line in tree(&out) {
        let path = out.join(line.split(' ').next().expect("a path"));
        let metadata = fs::metadata(&path).expect("there");
        assert_eq!((metadata.uid(), metadata.gid()), (1234, 4321), "{}", path.display());
    }
    assert_eq!(fs::metadata(out.join("node2")).expect("there").mode() & 0o7777, 0o750);
}

#[test]
fn the_next_steps_name_each_node() {
    let place = place();
    let out = place.path().join("out");
    let answer = all(&fixture("etcd-3.6"), &out, &[]).exits(0);
    for (node, name) in [("101", "node1"), ("102", "node2"), ("103", "node3")] {
        let line =
            format!("rsync -aS {} root@10.20.30.{node}:/var/lib/etcd/", text(&out.join(name).join("member")));
        let ssh = format!("    ssh root@10.20.30.{node} 'mkdir ");
        let there = answer.text().lines().any(|told| told.starts_with(&ssh) && told.ends_with(&line));
        assert!(there, "{line}\n{}", answer.text());
    }
    let wal = answer.text().lines().find(|line| line.starts_with("  WAL ")).expect("a line on the WAL");
    assert!(wal.contains("each member's own member/wal"), "{wal}");
    let tar = place.path().join("tar");
    all(&fixture("etcd-3.6"), &tar, &["--tar"]).exits(0).says("ssh root@10.20.30.102 'mkdir");
}

/// Runs the commands that ship members, each to a directory below `nodes` that stands
/// for the host: programs that look like `ssh` and `rsync` take the place of them.
fn ship(answer: &Answer, nodes: &Path) -> Vec<Answer> {
    let tools = nodes.join("tools");
    fs::create_dir_all(&tools).expect("made");
    // What the other side runs, where its /var is.
    let ssh = r#"n="$NODES/$1"; shift; mkdir -p "$n/var/lib"; cd "$n"; sh -c "$(printf %s "$*" | sed "s,/var/,$n/var/,g")""#;
    let rsync = r#"n="${3%:/*}"; n=$(printf %s "$n" | tr -d '[]'); cp -a "$2" "$NODES/$n/var/lib/etcd/""#;
    for (name, script) in [("ssh", ssh), ("rsync", rsync)] {
        fs::write(tools.join(name), format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o700)).expect("set");
    }
    let path = format!("{}:{}", text(&tools), std::env::var("PATH").expect("a PATH"));
    let commands = answer.text().lines().map(str::trim).filter(|line| line.starts_with("ssh "));
    let run =
        |command| Answer::of(Command::new("sh").args(["-c", command]).env("NODES", nodes).env("PATH", &path));
    commands.map(run).collect()
}

#[test]
fn what_is_shipped_never_goes_over_a_member_that_is_there() {
    for more in [&[][..], &["--tar"]] {
        let place = place();
        let (out, nodes) = (place.path().join("the out"), place.path().join("nodes"));
        let answer = all(&fixture("etcd-3.6"), &out, more).exits(0);
        // The first node has its old member still, the second a link that leads nowhere.
        let old = nodes.join("root@10.20.30.101/var/lib/etcd/member/wal");
        fs::create_dir_all(&old).expect("made");
        fs::write(old.join("0000000000000007-0000000000000100.wal"), "old").expect("written");
        let second = nodes.join("root@10.20.30.102/var/lib/etcd");
        fs::create_dir_all(&second).expect("made");
        std::os::unix::fs::symlink("nowhere", second.join("member")).expect("made");
        let before = tree(&nodes);
        let shipped = ship(&answer, &nodes);
        assert_eq!(shipped.len(), 3, "{}", answer.text());
        for refused in &shipped[..2] {
            assert_ne!(refused.code, Some(0), "{refused:?}");
            assert!(refused.err.contains("exists"), "{refused:?}");
        }
        assert_eq!(shipped[2].code, Some(0), "{:?}", shipped[2]);
        let third = nodes.join("root@10.20.30.103/var/lib/etcd");
        assert_eq!(member(&third), OF_THREE);
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!((mode(&third), mode(&third.join("member"))), (0o700, 0o700));
        let of_others = |line: &String| !line.starts_with("root@10.20.30.103") && !line.starts_with("tools");
        let after: Vec<_> = tree(&nodes).into_iter().filter(of_others).collect();
        assert_eq!(after, before);
        // Nor over what was shipped.
        assert!(ship(&answer, &nodes).iter().all(|again| again.code != Some(0)));
    }
}

#[test]
fn hosts_of_ipv6_are_written_as_ssh_and_rsync_want_them() {
    let members = "m1=https://[fd00::1]:2380,m2=https://[fe80::2%25eth0]:2380,m3=http://10.0.0.3:2380";
    for more in [&[][..], &["--tar"]] {
        let place = place();
        let (out, nodes) = (place.path().join("out"), place.path().join("nodes"));
        let file = fixture("etcd-3.6");
        let mut args = vec!["restore", &file, "--all-members", "--out-dir", text(&out)];
        args.extend(["--initial-cluster", members]);
        args.extend(more);
        let answer = ask(&args).exits(0);
        for shipped in ship(&answer, &nodes) {
            shipped.exits(0);
        }
        for (host, name) in [("fd00::1", "m1"), ("fe80::2%eth0", "m2"), ("10.0.0.3", "m3")] {
            assert_eq!(member(&nodes.join(format!("root@{host}/var/lib/etcd"))), OF_THREE, "{name}");
            // What OpenSSH makes of it.
            let Ok(output) = Command::new("ssh").args(["-G", &format!("root@{host}")]).output() else {
                skipped("hosts as ssh reads them", "there is no ssh");
                continue;
            };
            let read = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(read.lines().any(|line| line == format!("hostname {host}")), "{read}");
        }
        let bracketed = answer.text().contains(" 'root@[fe80::2%eth0]':/var/lib/etcd/");
        assert_eq!(bracketed, more.is_empty(), "{}", answer.text());
    }
}

#[test]
fn disks_that_are_full_read_only_or_mount_points_are_told() {
    if no_mounts("disks for all members") {
        return;
    }
    let members = "node1=http://10.0.0.1:2380,node2=http://10.0.0.2:2380,node3=http://10.0.0.3:2380";
    for (options, out, more, words) in [
        ("size=100m", "m/out", "", "are needed"),
        ("size=1m", "m/out", "--tar", "are needed"),
        ("size=300m,nr_inodes=16", "m/out", "", "the disk is full"),
        ("size=300m,nr_inodes=5", "m/out", "--tar", "the disk is full"),
        ("size=300m,ro", "m/out", "", "read-only"),
        ("size=300m", "m", "", "mount point"),
    ] {
        let place = place();
        let script = format!(
            "mkdir $P/m; mount -t tmpfs -o {options} tmpfs $P/m
             r() {{ $E -q restore $FILE --all-members --initial-cluster {members} {more} --out-dir $P/$1 >/dev/null; }}
             code=0; r {out} || code=$?
             echo code $code; (cd $P && find .)
             mount -o remount,rw,size=300m,nr_inodes=1000 $P/m
             r m/out; ls $P/m/out | wc -l; find $P -name '.*etcdsnap*'"
        );
        let answer = mounting(&place, &script);
        let said = format!("{options} {out} {more}\n{}{}", answer.text(), answer.err);
        assert_eq!(answer.text(), "code 2\n.\n./m\n3\n", "{said}");
        assert!(answer.err.contains("  hint: ") && answer.err.contains(words), "{said}");
    }
}

#[test]
fn where_files_can_be_cloned_one_copy_is_all_the_room_it_takes() {
    if no_mounts("file systems that clone") {
        return;
    }
    for (mkfs, module) in [("mkfs.xfs -q -m reflink=1", "xfs"), ("mkfs.btrfs -q", "btrfs")] {
        let tool = mkfs.split(' ').next().expect("a tool");
        let there = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().expect("sh");
        if !there.status.success() {
            skipped("cloning", &format!("there is no {tool}"));
            continue;
        }
        let place = place();
        // From beside the file, and from another file system: 200 MB and three WALs.
        let script = format!(
            "truncate -s 1500M $P/image; {mkfs} $P/image >/dev/null; mkdir $P/m; mount -t {module} -o loop $P/image $P/m
             free() {{ sync; df -B1 --output=avail $P/m | tail -1; }}
             r() {{ $E -q restore $1 --all-members --initial-cluster {THREE} --out-dir $P/m/$2 >/dev/null 2>&1; }}
             b=$(free); r $BIG far; a=$(free); echo $(( (b - a) / 1000000 ))
             cp $BIG $P/m/big.db; b=$(free); r $P/m/big.db near; a=$(free); echo $(( (b - a) / 1000000 ))
             for n in node1 node2 node3; do for k in far near; do cmp $P/m/far/node1/member/snap/db $P/m/$k/$n/member/snap/db; done; done
             ls -A $P/m | grep -v lost | tr '\\n' ' '; umount $P/m"
        );
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-ec", &script])
            .env("E", harness::PROGRAM)
            .env("BIG", big())
            .env("P", place.path());
        let answer = Answer::of(&mut command).exits(0);
        let lines: Vec<_> = answer.text().lines().collect();
        let [far, near, names] = lines.as_slice() else { panic!("{}", answer.text()) };
        let (far, near): (u64, u64) = (far.parse().expect("MB"), near.parse().expect("MB"));
        assert!((201 + 192..201 + 192 + 60).contains(&far), "{module}: {far} MB for one copy and three WALs");
        assert!((192..192 + 60).contains(&near), "{module}: {near} MB for three WALs");
        assert_eq!(*names, "big.db far near ");
    }
}

fn start(out: &Path, more: &[&str]) -> Child {
    let mut command = program();
    command.args([
        "-q",
        "restore",
        big(),
        "--all-members",
        "--initial-cluster",
        THREE,
        "--out-dir",
        text(out),
    ]);
    command.args(more).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started")
}

/// Kills at some moments: the directory is as it was, or complete.
fn killed(moments: u32, existing: bool, more: &[&str]) {
    let place = place();
    let out = place.path().join("out");
    let again = || {
        for entry in fs::read_dir(place.path()).expect("a directory") {
            fs::remove_dir_all(entry.expect("an entry").path()).expect("removed");
        }
        if existing {
            fs::create_dir(&out).expect("made");
        }
    };
    again();
    let begin = Instant::now();
    Answer::from_output("undisturbed", start(&out, more).wait_with_output().expect("ended")).exits(0);
    let took = begin.elapsed();
    let db = |name: &str| out.join(name).join("member/snap/db");
    let whole = tree(&out);
    let (mut before, mut after) = (0, 0);
    for moment in 0..moments {
        again();
        let mut run = start(&out, more);
        let share = 1.05 - (1.0 - f64::from(moment) / f64::from(moments - 1)).powi(2);
        std::thread::sleep(took.mul_f64(share.max(0.0)));
        run.kill().expect("it was ours to kill");
        run.wait().expect("ended");
        if out.exists() && fs::read_dir(&out).expect("a directory").next().is_some() {
            after += 1;
            assert_eq!(tree(&out), whole, "moment {moment}");
        } else {
            before += 1;
            assert_eq!(out.exists(), existing, "moment {moment}");
            let rerun = start(&out, more).wait_with_output().expect("ended");
            Answer::from_output("the second run", rerun).exits(0);
            assert_eq!(tree(&out), whole, "moment {moment}: the second run");
            nothing_else(place.path(), &["out"]);
        }
        for name in NAMES.iter().filter(|_| more.is_empty()) {
            ask(&["-q", "verify", text(&db(name))]).exits(0);
            assert_eq!(
                fs::metadata(out.join(name).join("member/wal").join(SEGMENT)).expect("there").len(),
                64_000_000
            );
        }
    }
    eprintln!("{moments} kills: {before} before, {after} after");
    assert!(before > 0, "no kill came in the middle");
}

#[test]
fn a_killed_restore_leaves_all_members_or_none() {
    killed(moments(6), false, &[]);
}

#[test]
fn a_killed_restore_into_an_empty_directory_does_so_too() {
    killed(moments(3), true, &[]);
}

#[test]
fn a_killed_restore_to_archives_does_so_too() {
    killed(moments(3), false, &["--tar"]);
}

#[test]
fn of_two_restores_of_all_members_exactly_one_wins() {
    for existing in [false, true] {
        let place = place();
        let out = place.path().join("out");
        if existing {
            fs::create_dir(&out).expect("made");
        }
        let runs = [start(&out, &[]), start(&out, &[])];
        let answers =
            runs.map(|run| Answer::from_output("one of two", run.wait_with_output().expect("ended")));
        let won = answers.iter().filter(|answer| answer.code == Some(0)).count();
        assert_eq!(won, 1, "{answers:?}");
        for answer in answers.into_iter().filter(|answer| answer.code != Some(0)) {
            answer.refuses(2);
        }
        nothing_else(&out, &NAMES);
        nothing_else(place.path(), &["out"]);
    }
}
