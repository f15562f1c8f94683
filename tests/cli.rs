//! The command line as a user meets it: help, wrong input, exit codes, forms of
//! output, pipes.

mod harness;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use etcdsnap::codec::checksum::fnv1a_64;
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use tempfile::TempDir;

use harness::{Answer, PROGRAM, ask, fixture, fixtures, is_root, make_snapshot, program, skipped, tree};

/// Commands that read one FILE, with what they need besides it (`FILE` is the
/// place of its name).
const COMMANDS: [(&str, &[&str]); 16] = [
    ("verify", &["verify", "FILE"]),
    ("status", &["status", "FILE"]),
    ("status -w", &["status", "-w", "json", "FILE"]),
    ("hashkv", &["hashkv", "FILE"]),
    ("members", &["members", "FILE"]),
    ("members -w", &["members", "-w", "table", "FILE"]),
    ("keys", &["keys", "FILE"]),
    ("value", &["value", "FILE", "binval"]),
    ("list", &["list", "FILE"]),
    ("encryption", &["encryption", "FILE"]),
    ("get", &["get", "FILE", "pods", "-A"]),
    ("get by name", &["get", "FILE", "pod", "web-1", "--ignore-not-found"]),
    ("get of definitions", &["get", "FILE", "crds", "-o", "json"]),
    ("api-resources", &["api-resources", "FILE"]),
    ("export", &["export", "FILE"]),
    ("restore", &["restore", "FILE", "--data-dir", "TARGET"]),
];

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn text(path: &Path) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}

fn words(args: &[&str], file: &str, target: &str) -> Vec<String> {
    let place = |arg: &&str| match *arg {
        "FILE" => file.to_owned(),
        "TARGET" => target.to_owned(),
        arg => arg.to_owned(),
    };
    args.iter().map(place).collect()
}

/// Puts `bytes` where every command is asked about them.
fn every_command(name: &str, bytes: &[u8], check: impl Fn(&str, Answer)) {
    let place = place();
    let file = place.path().join(name);
    fs::write(&file, bytes).expect("written");
    for (command, args) in COMMANDS {
        let target = place.path().join("etcd");
        let answer = ask(&words(args, &text(&file), &text(&target)));
        assert!(fs::read(&file).expect("there") == bytes, "{command} changed it");
        if answer.code != Some(0) {
            assert_eq!(tree(place.path()), [format!("{name} {}", bytes.len())], "{command}");
        }
        check(command, answer);
        let _ = fs::remove_dir_all(&target);
    }
}

/// That every command says no to a file that is no snapshot: `verify` in its
/// report, the others as an error.
fn no_snapshot(name: &str, bytes: &[u8], says: &str) {
    every_command(name, bytes, |command, answer| {
        let answer = if command == "verify" {
            answer.exits(1).says("NOT USABLE").says("What to do: ")
        } else {
            answer.refuses(1)
        };
        answer.says(says);
    });
}

fn snapshot_bytes() -> Vec<u8> {
    fs::read(fixture("etcd-3.6")).expect("a fixture")
}

// Help.

#[test]
fn help_of_every_command_is_as_recorded() {
    let mut all = String::new();
    for command in [
        "",
        "verify",
        "status",
        "hashkv",
        "members",
        "keys",
        "value",
        "list",
        "get",
        "api-resources",
        "decode",
        "export",
        "encryption",
        "carve",
        "restore",
        "repack",
        "salvage",
        "pages",
        "page",
        "tree",
        "version",
        "completion",
        "man",
        "snapshot",
        "member",
    ] {
        for flag in ["-h", "--help"] {
            let mut args: Vec<&str> = command.split(' ').filter(|word| !word.is_empty()).collect();
            args.push(flag);
            let answer = ask(&args).exits(0);
            assert_eq!(answer.err, "");
            let line = format!("etcdsnap {}", args.join(" "));
            all.push_str(&format!("$ {line}\n{}\n", answer.text().trim_end()));
            all.push('\n');
        }
    }
    let path = fixtures().join("cli/help.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, &all).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if let Some((ours, theirs)) = all.lines().zip(expected.lines()).find(|(ours, theirs)| ours != theirs) {
        panic!("the help changed (UPDATE_EXPECT=1 records it)\nwas: {theirs}\nis:  {ours}");
    }
    assert!(all == expected, "the help changed its length (UPDATE_EXPECT=1 records it)");
}

#[test]
fn version_completion_and_man_answer() {
    ask(&["version"]).exits(0).says(env!("CARGO_PKG_VERSION"));
    ask(&["--version"]).exits(0).says(env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        ask(&["completion", shell]).exits(0).says("hashkv");
    }
    ask(&["man"]).exits(0).says(".TH etcdsnap 1 ");
}

#[test]
fn the_manual_page_of_a_command_has_its_name_and_all_its_options() {
    for command in
        ["verify", "status", "hashkv", "members", "keys", "value", "list", "get", "export", "restore", "man"]
    {
        let page = ask(&["man", command]).exits(0);
        let title = format!(".TH etcdsnap-{command} 1  \"etcdsnap {}\" etcdsnap", env!("CARGO_PKG_VERSION"));
        assert!(page.text().lines().any(|line| line == title), "{title}\n{}", page.text());
        page.says(&format!("etcdsnap\\-{command} \\- ")).says("GENERAL OPTIONS").says("\\-\\-quiet");
    }
    ask(&["man"]).exits(0).says("etcdsnap\\-verify(1)");
    ask(&["man", "frobnicate"]).refuses(2);
}

#[test]
fn options_are_there_where_they_make_a_difference_and_nowhere_else() {
    let all = [
        "verify",
        "status",
        "hashkv",
        "members",
        "keys",
        "value",
        "list",
        "encryption",
        "get",
        "api-resources",
        "export",
        "restore",
        "repack",
        "salvage",
        "carve",
        "pages",
        "page",
        "tree",
        "decode",
        "version",
        "completion",
        "man",
    ];
    let opening = &all[..18];
    let reading = &all[1..11];
    let named = [reading, &all[14..18]].concat();
    let without = |left_out: &[&str], of: &[&'static str]| -> Vec<&'static str> {
        of.iter().copied().filter(|command| !left_out.contains(command)).collect()
    };
    let parallel = without(&["members"], opening);
    let kubernetes = without(&["hashkv", "members", "keys", "pages", "page", "tree"], &all[..19]);
    let revisions = without(&["status", "members", "encryption"], reading);
    let values = [
        "verify",
        "value",
        "encryption",
        "get",
        "api-resources",
        "export",
        "repack",
        "restore",
        "carve",
        "decode",
    ];
    for (option, value, takers) in [
        ("--quiet", None, &all[..]),
        ("-v", None, &all),
        ("--no-mmap", None, opening),
        ("--threads", Some("2"), &parallel),
        ("--skip-damaged", None, reading),
        ("--file", Some("x"), &named),
        ("--etcd-prefix", Some("/x"), &kubernetes),
        ("--rev", Some("9"), &revisions),
        ("--encryption-config", Some("x"), &values),
        ("--redact", None, &["get", "export", "carve", "decode"]),
    ] {
        for command in all {
            // What stands before --help is looked at first.
            let args: Vec<_> = [command, option].into_iter().chain(value).chain(["--help"]).collect();
            let code = if takers.contains(&command) { 0 } else { 2 };
            ask(&args).exits(code);
        }
    }
}

#[test]
fn upstreams_names_of_commands_work() {
    let file = fixture("etcd-3.6");
    for (upstream, ours) in [
        (&["snapshot", "status", "-w", "table"][..], &["status", "-w", "table"][..]),
        (&["member", "list", "-w", "table"], &["members", "-w", "table"]),
        (&["check"], &["verify"]),
    ] {
        let ask = |args: &[&str]| ask(&[args, &[file.as_str()]].concat()).exits(0).out;
        assert!(ask(upstream) == ask(ours), "{upstream:?}");
    }
}

// Words of the command line.

#[test]
fn wrong_words_are_named_and_exit_2() {
    let file = fixture("etcd-3.6");
    for args in [
        &["frobnicate"][..],
        &["keys", "--frobnicate", &file],
        &["keys"],
        &["status"],
        &["members"],
        &["list"],
        &["encryption"],
        &["verify"],
        &["hashkv"],
        &["restore"],
        &["value"],
        &["value", &file],
        &["keys", &file, "a", "b"],
        &["value", &file, "a", "b"],
        &["status", &file, "b"],
        &["members", &file, "b"],
        &["encryption", &file, "b"],
        &["encryption", &file, "--encryption-config", "/nowhere/keys.yaml"],
        &["keys", "-o", "yaml", &file],
        &["keys", "--rev", "x", &file],
        &["status", "-o", "json", "-w", "json", &file],
        &["keys", "-q", "-v", &file],
        &["list", "-A", "-n", "x", &file],
        &["keys", "--threads", "0", &file],
        &["restore", &file, "--mode", "999"],
        &["restore", &file, "--owner", "0"],
        &["restore", &file, "--bump-revision", "-1"],
        &["completion", "tcl"],
    ] {
        let answer = ask(args).refuses(2);
        assert_eq!(answer.text(), "", "{args:?}");
    }
}

#[test]
fn the_file_may_be_named_by_option_or_environment_instead() {
    let file = fixture("etcd-3.6");
    for command in [&["status"][..], &["members"], &["keys"], &["list"], &["encryption"], &["value"]] {
        let rest: &[&str] = if command == ["value"] { &["binval"] } else { &[] };
        let first = ask(&[command, &[file.as_str()], rest].concat()).exits(0).out;
        for flag in ["-f", "--file"] {
            let named = ask(&[command, &[flag, file.as_str()], rest].concat()).exits(0).out;
            assert!(named == first, "{command:?}");
        }
        let from_environment = Answer::of(program().env("ETCDSNAP_FILE", &file).args(command).args(rest));
        assert!(from_environment.exits(0).out == first, "{command:?}");
    }
    // The first word is then what comes after the file.
    let all = ask(&["keys", "-f", &file, "/leased"]).exits(0);
    assert_eq!(all.text(), "/leased/a\n/leased/b\n/leased/c\n");
}

#[test]
fn two_files_are_one_too_many_and_both_are_named() {
    let (one, two) = (fixture("etcd-3.5"), fixture("etcd-3.6"));
    for command in ["status", "members", "keys", "list", "encryption", "value"] {
        ask(&[command, "-f", &one, &two]).refuses(2).says(&one).says(&two);
        let mut from_environment = program();
        from_environment.env("ETCDSNAP_FILE", &one).args([command, &two]);
        Answer::of(&mut from_environment).refuses(2).says(&one).says(&two);
    }
}

#[test]
fn commands_that_decide_something_do_not_read_the_environment() {
    let file = fixture("etcd-3.6");
    let place = place();
    for args in [&["verify"][..], &["restore", "--data-dir", "x"]] {
        let mut command = program();
        command.env("ETCDSNAP_FILE", &file).current_dir(place.path()).args(args);
        Answer::of(&mut command).refuses(2);
    }
    let mut command = program();
    command.env("ETCDSNAP_FILE", fixture("etcd-3.5")).args(["verify", &file]);
    Answer::of(&mut command).exits(0);
    assert_eq!(tree(place.path()), Vec::<String>::new());
}

#[test]
fn standard_input_is_not_read_and_that_is_said() {
    let place = place();
    let target = place.path().join("etcd");
    for (_, args) in COMMANDS {
        let mut command = program();
        command.current_dir(place.path()).args(words(args, "-", &text(&target)));
        Answer::of(&mut command).refuses(2).says("standard input").says("/dev/stdin");
    }
    assert_eq!(tree(place.path()), Vec::<String>::new());
}

// Files that are no snapshots.

#[test]
fn a_missing_file_exits_2() {
    let place = place();
    let (file, target) = (place.path().join("no.db"), place.path().join("etcd"));
    for (_, args) in COMMANDS {
        let answer = ask(&words(args, &text(&file), &text(&target))).refuses(2).says("no.db");
        assert_eq!(answer.text(), "");
    }
    assert_eq!(tree(place.path()), Vec::<String>::new());
}

#[test]
fn a_directory_exits_2_and_the_database_in_it_is_named() {
    let place = place();
    let (directory, target) = (place.path().join("dir"), place.path().join("etcd"));
    fs::create_dir_all(directory.join("member/snap")).expect("made");
    for (_, args) in COMMANDS {
        ask(&words(args, &text(&directory), &text(&target))).refuses(2).says("is a directory");
    }
    fs::copy(fixture("etcd-3.6"), directory.join("member/snap/db")).expect("copied");
    for (_, args) in COMMANDS {
        ask(&words(args, &text(&directory), &text(&target)))
            .refuses(2)
            .says(&text(&directory.join("member/snap/db")));
    }
}

#[test]
fn an_empty_file_is_a_failed_backup() {
    no_snapshot("empty.db", b"", "the file is empty");
}

#[test]
fn text_and_json_are_recognised() {
    no_snapshot("text.db", b"404 page not found\n".repeat(600).as_slice(), "text");
    no_snapshot("short.db", b"x\n", "text");
    no_snapshot("error.db", br#"{"error":"etcdserver: permission denied"}"#, "JSON");
    no_snapshot("zeros.db", &[0; 65536], "zeros");
}

#[test]
fn archives_are_recognised_with_the_command_that_unpacks_them() {
    let filled = |magic: &[u8]| [magic, &[7; 20_000]].concat();
    no_snapshot("s.db.gz", &filled(b"\x1f\x8b\x08\0\0\0\0\0\0\x03"), "gunzip -c ");
    no_snapshot("s.db.zst", &filled(b"\x28\xb5\x2f\xfd\x04"), "zstd -d ");
    no_snapshot("s.db.xz", &filled(b"\xfd7zXZ\0"), "xz -dc ");
    no_snapshot("s.db.bz2", &filled(b"BZh91AY&SY"), "bzip2 -dc ");
    no_snapshot("s.zip", &filled(b"PK\x03\x04\x14\0"), "unzip ");
    let mut tar = vec![0; 512];
    tar[..7].copy_from_slice(b"snap.db");
    tar[257..265].copy_from_slice(b"ustar\x0000");
    tar.extend(snapshot_bytes());
    no_snapshot("s.tar", &tar, "tar -xf ");
}

/// Both metas changed, their checksums right again.
fn with_metas(change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = snapshot_bytes();
    for page in bytes.chunks_mut(4096).take(2) {
        change(&mut page[16..72]);
        let checksum = fnv1a_64(&page[16..72]);
        page[72..80].copy_from_slice(&checksum.to_le_bytes());
    }
    bytes
}

#[test]
fn a_file_without_a_usable_meta_is_refused() {
    let mut bytes = snapshot_bytes();
    for at in [16 + 30, 4096 + 16 + 30] {
        bytes[at] ^= 0xff;
    }
    no_snapshot("metas.db", &bytes, "meta");
}

#[test]
fn a_file_of_a_big_endian_machine_is_refused_by_that_name() {
    let swapped = |meta: &mut [u8]| {
        meta[..16].chunks_mut(4).for_each(<[u8]>::reverse);
        meta[16..].chunks_mut(8).for_each(<[u8]>::reverse);
    };
    no_snapshot("s390x.db", &with_metas(swapped), "big-endian");
}

#[test]
fn an_odd_page_size_is_refused() {
    for size in [0_u32, 1, 1000, 4097, 1 << 31] {
        no_snapshot(
            "odd.db",
            &with_metas(|meta| meta[8..12].copy_from_slice(&size.to_le_bytes())),
            "page size",
        );
    }
}

#[test]
fn a_download_that_was_cut_off_is_told_as_damage() {
    let whole = snapshot_bytes();
    for name in ["cut.db", "snapshot.db.part"] {
        for length in [whole.len() / 2, whole.len() - 40, 20_000] {
            every_command(name, &whole[..length], |command, answer| match command {
                "verify" => drop(answer.exits(1).says("truncated").says("What to do: ")),
                // Answered if what they ask for is in the part that is there.
                "members" | "members -w" if answer.code == Some(0) => {}
                _ => drop(answer.refuses(1)),
            });
        }
    }
}

/// The fixture without the page that leads to everything, its digest right.
fn without_root() -> Vec<u8> {
    let mut bytes = snapshot_bytes();
    let root = u64::from_le_bytes(bytes[32..40].try_into().expect("eight bytes"));
    let at = usize::try_from(root).expect("small") * 4096;
    bytes[at..at + 16].fill(0xff);
    let end = bytes.len() - 32;
    let digest = etcdsnap::codec::checksum::sha256(&bytes[..end]);
    bytes[end..].copy_from_slice(&digest);
    bytes
}

#[test]
fn where_the_root_is_lost_there_is_nothing_to_skip_to() {
    let place = place();
    let file = place.path().join("rootless.db");
    fs::write(&file, without_root()).expect("written");
    for (command, args) in COMMANDS.into_iter().filter(|(name, _)| !["verify", "restore"].contains(name)) {
        for more in [&[][..], &["--skip-damaged".to_owned()]] {
            let answer = ask(&[&words(args, &text(&file), ""), more].concat()).refuses(1);
            assert_eq!(answer.text(), "", "{command}");
            // One cause, told once, with what would not help.
            assert!(!answer.err.contains("faults"), "{}", answer.err);
            answer.says("the list of buckets cannot be read").says("--skip-damaged cannot help");
        }
    }
    ask(&["verify", &text(&file)]).exits(1).says("DAMAGED").says("lost: all buckets");
}

#[test]
fn a_lost_history_is_no_empty_one() {
    let place = place();
    let file = place.path().join("damaged.db");
    let mut bytes = snapshot_bytes();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    // The elements of the root: flags, position, sizes of key and value.
    let root = word(32) * 4096 + 16;
    let elements = (0..10).map(|index| root + 16 * index);
    let values = elements.map(|at| (at + word(at + 4), word(at + 8)));
    let header = values.into_iter().find(|(key, size)| bytes[*key..key + size] == *b"key");
    let (key, size) = header.expect("the bucket");
    let page = word(key + size) * 4096;
    bytes[page..page + 8].fill(0xff);
    fs::write(&file, bytes).expect("written");
    let report = ask(&["verify", &text(&file)]).exits(1).says("lost: all of the bucket");
    for check in ["history", "kubernetes"] {
        let line = report.text().lines().find(|line| line.contains(&format!("  {check}  ")));
        assert!(line.expect("told").contains("nothing of it could be read"), "{}", report.text());
    }
    assert!(!report.text().contains("revision 1\n"), "{}", report.text());
}

#[test]
fn what_was_skipped_is_said_by_every_command() {
    let place = place();
    let file = place.path().join("damaged.db");
    let mut bytes = snapshot_bytes();
    // The first leaf of bucket `key`.
    let db = etcdsnap::bolt::Db::open(&bytes).expect("a database");
    let (records, _) = etcdsnap::bolt::small_bucket(&db, b"key");
    let page = db.image.page_of(records.first().expect("a record").offset).0;
    let at = usize::try_from(page).expect("small") * 4096;
    bytes[at..at + 8].fill(0xff);
    fs::write(&file, bytes).expect("written");
    for args in [&["status"][..], &["status", "-w", "json"], &["hashkv"], &["keys"]] {
        let args = words(&[args, &["FILE"]].concat(), &text(&file), "");
        ask(&args).refuses(1).says("the file is damaged");
        ask(&[&args[..], &["--skip-damaged".to_owned()]].concat())
            .exits(1)
            .says("warning: damage was skipped");
    }
}

#[test]
fn what_was_left_out_is_counted() {
    let place = place();
    let file = place.path().join("damaged.db");
    let mut bytes = snapshot_bytes();
    let db = etcdsnap::bolt::Db::open(&bytes).expect("a database");
    let (records, _) = etcdsnap::bolt::small_bucket(&db, b"key");
    let element = usize::try_from(records.first().expect("a record").offset.0).expect("small");
    // The size of its value: it would end far behind its page.
    bytes[element + 12..element + 16].copy_from_slice(&1_000_000u32.to_le_bytes());
    fs::write(&file, bytes).expect("written");
    let all = ask(&["keys", &fixture("etcd-3.6")]).exits(0).text().lines().count();
    for args in [
        &["keys"][..],
        &["list"],
        &["get"],
        &["hashkv"],
        &["status"],
        &["status", "-o", "json"],
        &["status", "-w", "table"],
    ] {
        let more: &[&str] = if args == ["get"] { &["pods", "-A"] } else { &[] };
        let answer = ask(&[args, &[&text(&file)], more, &["--skip-damaged"]].concat());
        let answer =
            answer.exits(1).says("left out: 1 entry of a damaged page; they hold what was written in ");
        assert!(args != ["keys"] || answer.text().lines().count() >= all - 1);
    }
}

#[test]
fn a_locked_file_exits_2_and_names_etcd() {
    let place = place();
    let (file, target) = (place.path().join("db"), place.path().join("etcd"));
    fs::copy(fixture("etcd-3.6"), &file).expect("copied");
    let held = File::open(&file).expect("there");
    flock(&held, FlockOperation::NonBlockingLockExclusive).expect("locked, as etcd does");
    for (_, args) in COMMANDS {
        let answer = ask(&words(args, &text(&file), &text(&target)));
        answer.refuses(2).says("locked").says("etcdctl snapshot save");
    }
    assert!(!target.exists());
    flock(&held, FlockOperation::NonBlockingLockShared).expect("shared");
    ask(&["status", &text(&file)]).exits(0);
}

#[test]
fn a_file_that_may_not_be_read_exits_2() {
    let place = place();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("set");
    let (file, target) = (place.path().join("db"), place.path().join("etcd"));
    fs::copy(fixture("etcd-3.6"), &file).expect("copied");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("set");
    let mut as_another: Vec<String> = Vec::new();
    let mut executable = PathBuf::from(PROGRAM);
    if is_root() {
        let setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let tried = Command::new("setpriv").args(&setpriv[1..]).arg("true").status();
        if !tried.is_ok_and(|status| status.success()) {
            return skipped("a file without permission", "root may read anything, and setpriv does not work");
        }
        as_another.extend(setpriv.map(str::to_owned));
        // The build directory may be closed to others.
        executable = place.path().join("etcdsnap");
        // By another process: a file that this one has open for writing cannot be run
        // while a thread of it is starting another program.
        let copied = Command::new("cp").arg(PROGRAM).arg(&executable).status().expect("cp");
        assert!(copied.success());
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).expect("set");
    }
    as_another.push(text(&executable));
    for (_, args) in COMMANDS {
        let mut command = Command::new(&as_another[0]);
        command.args(&as_another[1..]).args(words(args, &text(&file), &text(&target)));
        Answer::of(command.env_remove("ETCDSNAP_FILE")).refuses(2).says("Permission denied").says("sudo");
    }
    // Nor may a restore write where it must not.
    if is_root() {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("set");
        let mut command = Command::new(&as_another[0]);
        command.args(&as_another[1..]).args(["restore", &text(&file), "--data-dir", &text(&target)]);
        Answer::of(&mut command).refuses(2).says("Permission denied");
    }
    assert!(!target.exists());
}

// Answers.

#[test]
fn a_fifo_that_nobody_writes_to_is_not_waited_for() {
    let place = tempfile::tempdir().expect("a directory");
    let fifo = place.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().is_ok_and(|done| done.success()));
    for command in ["verify", "status", "keys", "pages"] {
        ask(&[command, &text(&fifo)]).refuses(2).says("nobody writes to it");
    }
    ask(&["verify", "/dev/zero"]).refuses(2).says("device");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = place();
    let file = place.path().join("long.db");
    // More than any pipe and buffer hold.
    let keys: Vec<String> = (0..100).map(|n| format!("/{n:04}{}", "k".repeat(9000))).collect();
    let puts: Vec<_> = keys.iter().map(|key| (key.as_bytes(), b"v".as_slice())).collect();
    make_snapshot(&file, &puts);
    for form in ["name", "table", "json", "jsonl", "raw0"] {
        let mut command = program();
        command.args(["keys", "-o", form, &text(&file)]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = command.spawn().expect("started");
        let mut reader = BufReader::new(run.stdout.take().expect("piped"));
        let mut line = Vec::new();
        reader.read_until(if form == "raw0" { 0 } else { b'\n' }, &mut line).expect("read");
        assert!(!line.is_empty());
        drop(reader);
        let mut said = String::new();
        run.stderr.take().expect("piped").read_to_string(&mut said).expect("read");
        let status = run.wait().expect("ended");
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{form}");
    }
}

#[test]
fn quiet_means_nothing_on_stderr_but_warnings() {
    let place = place();
    let file = fixture("k8s-1.35-etcd-3.6");
    for (command, args) in COMMANDS.into_iter().filter(|(command, _)| *command != "value") {
        let target = place.path().join("etcd");
        let loud = words(args, &file, &text(&target));
        let quiet = ask(&[&["-q".to_owned()], loud.as_slice()].concat()).exits(0);
        let warnings = quiet.err.lines().filter(|line| line.starts_with("warning: ")).count();
        assert_eq!(warnings, usize::from(command == "restore"), "{command}");
        assert_eq!(quiet.err.lines().count(), warnings, "{command}");
    }
    let target = place.path().join("loud");
    ask(&["restore", &file, "--data-dir", &text(&target)])
        .exits(0)
        .says("warning: this is a Kubernetes store");
}

/// All JSON documents that the commands print.
fn documents() -> Vec<(String, Value)> {
    let place = place();
    let mut found = Vec::new();
    for name in ["etcd-3.6", "k8s-1.35-etcd-3.6"] {
        let file = fixture(name);
        let key = if name == "etcd-3.6" { "/leased/a" } else { "/registry/namespaces/default" };
        let target = text(&place.path().join(name));
        for args in [
            &["verify", &file][..],
            &["verify", &file, &fixture("etcd-3.4")],
            &["status", &file],
            &["hashkv", &file],
            &["hashkv", &file, &file],
            &["members", &file],
            &["keys", &file],
            &["value", &file, key],
            &["list", &file],
            &["list", "-A", &file],
            &["encryption", &file],
            &["restore", &file, "--data-dir", &target],
        ] {
            let answer = ask(&[args, &["-o", "json"]].concat()).exits(0);
            found.push((answer.asked.clone(), answer.json()));
        }
    }
    found
}

#[test]
fn every_json_document_has_a_schema_version_and_ids_in_hexadecimal() {
    fn walk(name: &str, value: &Value, asked: &str, ids: &mut usize) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(name, value, asked, ids)),
            Value::Array(items) => items.iter().for_each(|item| walk(name, item, asked, ids)),
            Value::Number(number) => {
                assert!(
                    number.as_f64().is_some_and(|number| number.abs() < 9e15),
                    "{asked}: {name} {number}"
                );
            }
            _ => {}
        }
        let is_id = name == "id" || name.ends_with("Id") || name.ends_with("Ids");
        if (is_id || name == "lease" || name.to_lowercase().ends_with("hash")) && !value.is_array() {
            *ids += 1;
            let text = value.as_str().unwrap_or_else(|| panic!("{asked}: {name} {value} is no string"));
            let width = if name.to_lowercase().ends_with("hash") { 8 } else { 16 };
            // Ids as etcdctl prints them, without leading zeros; hashes with them.
            let long = if width == 8 { text.len() == 8 } else { (1..=16).contains(&text.len()) };
            let hex = text.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
            assert!(long && hex, "{asked}: {name} {text}");
        }
        let mut letters = name.chars();
        assert!(letters.next().is_none_or(char::is_lowercase), "{asked}: {name}");
        assert!(!name.contains(['_', '-', ' ']), "{asked}: {name}");
    }
    let mut ids = 0;
    for (asked, document) in documents() {
        assert_eq!(document["schemaVersion"], 1, "{asked}");
        walk("", &document, &asked, &mut ids);
    }
    assert!(ids > 20, "{ids}");
}

#[test]
fn every_line_of_jsonl_is_a_document() {
    for args in [&["keys"][..], &["list", "-A"]] {
        let file = fixture("k8s-1.35-etcd-3.6");
        let answer = ask(&[args, &[&file, "-o", "jsonl"]].concat()).exits(0);
        assert!(answer.text().lines().count() > 200);
        for line in answer.text().lines() {
            let document: Value = serde_json::from_str(line).expect("JSON");
            assert!(document["key"].is_string());
        }
    }
}

// Keys and values.

fn lines(args: &[&str]) -> Vec<String> {
    ask(args).exits(0).text().lines().map(str::to_owned).collect()
}

#[test]
fn a_deleted_key_is_absent_and_there_before() {
    let file = fixture("etcd-3.6");
    let key = "/registry/configmaps/ns/k7";
    let has = |keys: Vec<String>| keys.iter().any(|found| found == key);
    assert!(!has(lines(&["keys", &file])));
    assert!(has(lines(&["keys", &file, "--rev", "124"])));
    assert!(!has(lines(&["keys", &file, "--rev", "125"])));
    ask(&["value", &file, key]).refuses(1).says("deleted at revision 125");
    ask(&["value", &file, key, "--rev", "124"]).exits(0);
    ask(&["value", &file, "never-there"]).refuses(1).says("no such key");
    // Neither is it listed.
    let names = lines(&["list", &file, "configmaps", "-n", "ns", "-o", "name"]);
    assert_eq!(names.len(), 28);
    assert!(!names.contains(&"configmaps/k7".to_owned()));
    let before = lines(&["list", &file, "configmaps", "-n", "ns", "-o", "name", "--rev", "124"]);
    assert_eq!(before.len(), 40);
    assert!(before.contains(&"configmaps/k7".to_owned()));
}

#[test]
fn a_re_created_key_shows_its_new_life() {
    let file = fixture("k8s-1.35-etcd-3.6");
    let key = "/registry/secrets/shop/db-pass";
    let life = |more: &[&str]| ask(&[&["value", &file, key, "-o", "json"], more].concat()).exits(0).json();
    let (new, old) = (life(&[]), life(&["--rev", "205"]));
    assert_eq!((&new["createRevision"], &new["version"]), (&Value::from(296), &Value::from(1)));
    assert_eq!((&old["createRevision"], &old["version"]), (&Value::from(205), &Value::from(1)));
    assert_ne!(new["value"], old["value"]);
    ask(&["value", &file, key, "--rev", "295"]).refuses(1).says("deleted");
    ask(&["value", &file, key, "--rev", "204"]).refuses(1).says("no such key");
}

#[test]
fn revisions_outside_the_window_exit_1_and_name_it() {
    let file = fixture("etcd-3.6");
    for args in [&["keys"][..], &["value"], &["list"], &["hashkv"]] {
        let rest: &[&str] = if args == ["value"] { &["binval"] } else { &[] };
        for (rev, words) in
            [("59", "compacted"), ("1", "compacted"), ("158", "future"), ("9223372036854775807", "future")]
        {
            for flag in ["--rev", "--revision"] {
                let answer = ask(&[args, &[&file], rest, &[flag, rev]].concat()).refuses(1);
                answer.says(words).says("60 to 157");
            }
        }
        // hashkv leaves the compact revision itself out, as the server does.
        let oldest = if args == ["value"] { "157" } else { "60" };
        ask(&[args, &[&file], rest, &["--rev", oldest]].concat()).exits(0);
        ask(&[args, &[&file], rest, &["--rev", "157"]].concat()).exits(0);
    }
}

#[test]
fn a_binary_value_comes_byte_for_byte() {
    for name in ["etcd-3.4", "etcd-3.5", "etcd-3.6"] {
        let file = fixture(name);
        assert_eq!(ask(&["value", &file, "binval"]).exits(0).out, b"bin\0\x01\xff");
        assert_eq!(ask(&["value", &file, "binval", "--hex"]).exits(0).text(), "62696e0001ff\n");
        assert_eq!(ask(&["value", &file, "binval", "-o", "json"]).exits(0).json()["value"], "YmluAAH/");
    }
}

#[test]
fn keys_come_by_prefix_in_order_in_every_form() {
    let file = fixture("etcd-3.6");
    let all = lines(&["keys", &file]);
    assert_eq!(all.len(), 62);
    assert!(all.is_sorted());
    let leased = ["/leased/a", "/leased/b", "/leased/c"];
    assert_eq!(lines(&["keys", &file, "/leased/"]), leased);
    assert_eq!(lines(&["keys", &file, "/leased/b"]), ["/leased/b"]);
    assert_eq!(lines(&["keys", &file, "/nothing"]), Vec::<String>::new());
    let hex = lines(&["keys", &file, "/leased", "--hex"]);
    assert_eq!(hex[0], "2f6c65617365642f61");
    let raw = ask(&["keys", &file, "/leased", "-o", "raw0"]).exits(0);
    assert_eq!(raw.out, b"/leased/a\0/leased/b\0/leased/c\0");
    let json = ask(&["keys", &file, "/leased", "-o", "json"]).exits(0).json();
    let names: Vec<_> =
        json["keys"].as_array().expect("a list").iter().map(|key| key["key"].clone()).collect();
    assert_eq!(names, leased);
}

#[test]
fn keys_that_no_command_line_can_hold_are_given_as_hexadecimal_digits() {
    let place = place();
    let file = place.path().join("bytes.db");
    let keys: [&[u8]; 3] = [b"a\0b", b"\xff\0\xfe", b"\0"];
    make_snapshot(&file, &keys.map(|key| (key, key)));
    let file = text(&file);
    let listed = ask(&["keys", &file, "-o", "json"]).exits(0).json();
    let listed = listed["keys"].as_array().expect("a list");
    assert_eq!(listed.len(), keys.len());
    for key in listed {
        let hex = key["keyHex"].as_str().expect("given, as the text is not all");
        let value = ask(&["value", &file, "--key-hex", hex]).exits(0).out;
        assert!(keys.contains(&value.as_slice()), "{value:?}");
        assert_eq!(ask(&["keys", &file, "--prefix-hex", hex, "--hex"]).exits(0).text(), format!("{hex}\n"));
    }
    assert_eq!(lines(&["keys", &file, "--prefix-hex", "FF00", "--hex"]), ["ff00fe"]);
    ask(&["value", &file, "--key-hex", "6100"]).refuses(1).says("no such key");
    for args in [
        &["value", &file, "a", "--key-hex", "61"][..],
        &["keys", &file, "a", "--prefix-hex", "61"],
        &["value", &file, "--key-hex", "6"],
        &["value", &file, "--key-hex", "6g"],
        &["value", "--key-hex", "61"],
    ] {
        ask(args).refuses(2);
    }
    // A word of any other bytes is fine as it is.
    let mut command = program();
    command.args(["keys", &file]).arg(std::ffi::OsStr::from_bytes(b"\xff"));
    assert_eq!(Answer::of(&mut command).exits(0).text(), "\\xff\\x00\\xfe\n");
}

#[test]
fn types_are_counted_and_named_in_one_order() {
    let file = fixture("k8s-1.35-etcd-3.6");
    let counts = ask(&["list", &file, "-o", "json"]).exits(0).json();
    let names = ask(&["list", &file, "-A", "-o", "json"]).exits(0).json();
    let place = |entry: &Value| (entry["resource"].clone(), entry["namespace"].clone());
    let counts = counts["resources"].as_array().expect("a list");
    let mut named: Vec<((Value, Value), u64)> = Vec::new();
    for object in names["objects"].as_array().expect("a list") {
        match named.last_mut() {
            Some((last, count)) if *last == place(object) => *count += 1,
            _ => named.push((place(object), 1)),
        }
    }
    let counted: Vec<_> =
        counts.iter().map(|entry| (place(entry), entry["count"].as_u64().expect("a number"))).collect();
    assert!(counted.len() > 40);
    assert_eq!(counted, named);
}

#[test]
fn a_name_behind_a_type_leads_to_get() {
    let file = fixture("k8s-1.35-etcd-3.6");
    for words in [&["pods/web-1"][..], &["pods", "web-1"], &["svc,pods/web-1"]] {
        let answer = ask(&[&["list", &file], words].concat()).refuses(2);
        answer.says("`etcdsnap get FILE pods web-1`");
    }
    assert_eq!(lines(&["list", &file, "po,svc", "-n", "shop", "-o", "name"]).len(), 3);
}

// What a snapshot may hold to deceive whoever reads the answer.

const NASTY: [&str; 7] = [
    "/registry/pods/ns/a\u{1b}[31mred",
    "/registry/pods/ns/b\nfake line",
    "/registry/pods/ns/c\u{202e}txt.exe",
    "/registry/pods/n\u{9b}s/d",
    "/registry/pods/ns/e\u{7f}\u{8}",
    "/registry/pods/ns/f\r\t\u{2028}\u{feff}",
    "/registry/secrets/g\u{1b}]0;title\u{7}/h",
];

#[track_caller]
fn harmless(answer: &Answer) {
    for (stream, text) in [("stdout", answer.text()), ("stderr", &answer.err)] {
        let bad = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        };
        let found: Vec<char> = text.chars().filter(|c| bad(*c)).collect();
        assert!(found.is_empty(), "{stream} of {}: {found:?}\n{text:?}", answer.asked);
        assert!(!text.lines().any(|line| line.starts_with("fake line")), "{stream} of {}", answer.asked);
    }
}

#[test]
fn names_in_a_snapshot_never_reach_the_terminal_raw() {
    let place = place();
    let file = text(&{
        let file = place.path().join("nasty.db");
        let mut puts: Vec<(&[u8], &[u8])> =
            NASTY.iter().map(|key| (key.as_bytes(), b"?".as_slice())).collect();
        puts.push((b"/registry/pods/ns/\xff\xfe", b"?"));
        make_snapshot(&file, &puts);
        file
    });
    for form in ["name", "table", "json", "jsonl"] {
        let keys = ask(&["keys", &file, "-o", form]).exits(0);
        harmless(&keys);
        assert!(keys.text().contains("ns/a\\x1b[31mred") || keys.text().contains("ns/a\\\\x1b[31mred"));
        harmless(&ask(&["list", "-A", &file, "-o", form]).exits(0));
    }
    for args in [
        &["list"][..],
        &["encryption", "-v"],
        &["verify"],
        &["verify", "-o", "json"],
        &["status"],
        &["status", "-o", "json"],
    ] {
        harmless(&ask(&[args, &[file.as_str()]].concat()));
    }
    for key in NASTY {
        harmless(&ask(&["value", &file, key, "-o", "json"]).exits(0));
        harmless(&ask(&["value", &file, &format!("{key}!")]).refuses(1));
    }
    assert_eq!(ask(&["value", &file, NASTY[0]]).exits(0).out, b"?");
}

#[test]
fn names_of_members_never_reach_the_terminal_raw() {
    let place = place();
    let target = text(&place.path().join("etcd"));
    let name = "n\u{1b}[31m\n\u{202e}x";
    let url = "https://10.20.30.101:2380";
    let restored = ask(&[
        "restore",
        &fixture("etcd-3.6"),
        "--data-dir",
        &target,
        "--name",
        name,
        "--initial-cluster",
        &format!("{name}={url}"),
        "--initial-advertise-peer-urls",
        url,
    ])
    .exits(0);
    harmless(&restored);
    let db = format!("{target}/member/snap/db");
    for args in [
        &["members"][..],
        &["members", "-w", "table"],
        &["members", "-w", "simple"],
        &["status"],
        &["verify"],
    ] {
        harmless(&ask(&[args, &[db.as_str()]].concat()).exits(0));
    }
    for command in ["members", "status"] {
        let answer = ask(&[command, "-o", "json", &db]).exits(0);
        assert_eq!(answer.json()["members"][0]["name"], name);
        harmless(&answer);
    }
}

#[test]
fn names_of_files_never_reach_the_terminal_raw() {
    let place = place();
    for name in ["a\u{1b}[31m\nfake line", "b\u{202e}x"]
        .map(str::as_bytes)
        .into_iter()
        .chain([b"c\xff\x1b".as_slice()])
    {
        let missing = place.path().join(std::ffi::OsStr::from_bytes(name));
        let empty = place.path().join(std::ffi::OsStr::from_bytes(&[name, b"empty"].concat()));
        let whole = place.path().join(std::ffi::OsStr::from_bytes(&[name, b"whole"].concat()));
        fs::write(&empty, "").expect("written");
        fs::copy(fixture("etcd-3.6"), &whole).expect("copied");
        for (command, args) in COMMANDS {
            for file in [&missing, &empty, &whole] {
                let target = place.path().join("etcd");
                let mut run = program();
                for arg in args {
                    match *arg {
                        "FILE" => run.arg(file),
                        "TARGET" => run.arg(&target),
                        arg => run.arg(arg),
                    };
                }
                let answer = Answer::of(&mut run);
                // What stands where config maps do in that file are none.
                let good = file == &whole && command != "export";
                assert_eq!(answer.code == Some(0), good, "{command} {answer:?}");
                if command != "value" || answer.code != Some(0) {
                    harmless(&answer);
                }
                let _ = fs::remove_dir_all(&target);
            }
        }
        for args in [
            &["verify"][..],
            &["status"],
            &["hashkv"],
            &["members"],
            &["encryption"],
            &["restore", "--data-dir", "TARGET"],
        ] {
            let target = place.path().join("etcd");
            let args = words(args, "", &text(&target));
            let answer = Answer::of(program().args(args).args(["-o", "json"]).arg(&whole)).exits(0);
            assert_eq!(answer.json()["schemaVersion"], 1, "{answer:?}");
            harmless(&answer);
            let _ = fs::remove_dir_all(&target);
        }
    }
}
