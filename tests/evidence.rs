//! The input is evidence: no command writes to it, and `--evidence` says so in a
//! report that can be shown to others.

mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use etcdsnap::codec::checksum::sha256;
use harness::{Answer, PROGRAM, Untouched, ask, fixture, program, skipped};

/// Every command that reads a file, with `FILE` and `OUT` for a path to write to.
const COMMANDS: &[&[&str]] = &[
    &["verify", "FILE"],
    &["status", "FILE"],
    &["hashkv", "FILE"],
    &["members", "FILE"],
    &["keys", "FILE"],
    &["history", "FILE", "/registry/namespaces/default", "--patch"],
    &["value", "FILE", "/registry/namespaces/default"],
    &["list", "FILE"],
    &["get", "FILE", "all", "-A"],
    &["api-resources", "FILE"],
    &["export", "FILE", "--out-dir", "OUT"],
    &["encryption", "FILE"],
    &["carve", "FILE"],
    &["carve", "FILE", "--out-dir", "OUT"],
    &["repack", "FILE", "OUT"],
    &["repack", "FILE", "OUT", "--defrag"],
    &["repack", "FILE", "OUT", "--drop-prefix", "/registry/events/"],
    &["restore", "FILE", "--data-dir", "OUT"],
    &["restore", "FILE", "--data-dir", "OUT", "--dry-run"],
    &["pages", "FILE"],
    &["page", "FILE", "0", "2"],
    &["tree", "FILE"],
    &["salvage", "FILE", "OUT"],
];

/// Commands that read no snapshot.
const OTHERS: &[&str] = &["decode", "version", "completion", "man"];

fn copy(folder: &Path) -> String {
    let file = folder.join("snap.db");
    fs::copy(fixture("k8s-1.35-etcd-3.6"), &file).expect("copied");
    file.to_str().expect("UTF-8").to_owned()
}

fn words(command: &[&str], file: &str, out: &str) -> Vec<String> {
    let word = |word: &&str| match *word {
        "FILE" => file.to_owned(),
        "OUT" => out.to_owned(),
        word => word.to_owned(),
    };
    command.iter().map(word).collect()
}

#[test]
fn every_command_is_looked_at_here() {
    let help = ask(&["--help"]).exits(0);
    let listed: BTreeSet<String> = help
        .text()
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|word| !word.is_empty()))
        .map(str::to_owned)
        .collect();
    let here = COMMANDS.iter().map(|words| words[0]).chain(OTHERS.iter().copied());
    assert_eq!(listed, here.map(str::to_owned).collect());
}

#[test]
fn a_report_says_what_was_read_and_that_it_is_unchanged() {
    for command in COMMANDS {
        let folder = tempfile::tempdir().expect("a folder");
        let file = copy(folder.path());
        let out = folder.path().join("out").display().to_string();
        let report = folder.path().join("report.json");
        // In the past, so that a read would be seen even where times are coarse.
        touch(&file);
        let before = Untouched::of(Path::new(&file));
        touch(&file);
        let accessed = fs::metadata(&file).expect("there").atime();
        let plain = Answer::of(program().args(words(command, &file, &out)));
        let _ = fs::remove_dir_all(&out).or_else(|_| fs::remove_file(&out));
        let answer = Answer::of(program().args(words(command, &file, &out)).arg("--evidence").arg(&report));
        assert_eq!((answer.code, &answer.out), (plain.code, &plain.out), "{command:?}");
        assert_eq!(
            fs::metadata(&file).expect("there").atime(),
            accessed,
            "{command:?}: read without a trace"
        );
        let after = Untouched::of(Path::new(&file));
        assert!(after.bytes() == before.bytes(), "{command:?}");

        let mode = fs::metadata(&report).expect("a report").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON");
        let hex = |bytes: &[u8]| sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let input = &report["inputs"][0];
        assert_eq!(input["path"], file.as_str());
        assert_eq!(input["unchanged"], true);
        for moment in ["before", "after"] {
            assert_eq!(input[moment]["sha256"], hex(before.bytes()).as_str());
            assert_eq!(input[moment]["size"], before.bytes().len());
        }
        assert_eq!(input["before"], input["after"], "times included");
        assert_eq!(input["verify"]["verdict"], "sound");
        assert_eq!(report["output"]["sha256"], hex(&answer.out).as_str());
        assert_eq!(report["output"]["bytes"], answer.out.len());
        assert_eq!(report["exitCode"], answer.code.expect("a code"));
        assert_eq!(report["tool"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(
            report["tool"]["executableSha256"],
            hex(&fs::read(PROGRAM).expect("the program")).as_str()
        );
        let told = &answer.err;
        let warned: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
        assert_eq!(report["warnings"], serde_json::json!(warned), "{command:?}");
        assert_eq!(command.contains(&"--drop-prefix"), told.contains("not the cluster that was saved"));
        let written = report["written"].as_array().expect("a list");
        let names: BTreeSet<&str> = written.iter().filter_map(|written| written["file"].as_str()).collect();
        let found = files_below(Path::new(&out));
        assert_eq!(names, found.iter().map(String::as_str).collect(), "{command:?}");
        for written in written {
            let bytes = fs::read(written["file"].as_str().expect("a name")).expect("there");
            assert_eq!(written["sha256"], hex(&bytes).as_str(), "{command:?}");
            assert_eq!(written["size"], bytes.len());
        }
        assert!(["debug", "release"].contains(&report["tool"]["profile"].as_str().expect("a profile")));
        let told: Vec<&str> =
            report["command"].as_array().expect("words").iter().filter_map(|word| word.as_str()).collect();
        assert_eq!(told[1], command[0]);
    }
}

/// Names of all files in a directory, or of the file itself.
fn files_below(path: &Path) -> BTreeSet<String> {
    match fs::read_dir(path) {
        Ok(entries) => entries.flat_map(|entry| files_below(&entry.expect("an entry").path())).collect(),
        Err(_) if path.exists() => BTreeSet::from([path.display().to_string()]),
        Err(_) => BTreeSet::new(),
    }
}

/// Sets a file's times to the past.
fn touch(file: &str) {
    let done = Command::new("touch").args(["-d", "2020-01-02T03:04:05Z", file]).status();
    assert!(done.is_ok_and(|done| done.success()));
}

#[test]
fn a_report_is_written_of_what_fails_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("snap.db");
    fs::write(&file, "no database").expect("written");
    let report = folder.path().join("report.json");
    let answer = Answer::of(program().arg("status").arg(&file).arg("--evidence").arg(&report)).exits(1);
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON");
    assert_eq!(report["exitCode"], 1);
    assert!(answer.err.contains(report["error"].as_str().expect("an error")), "{report}\n{}", answer.err);
    assert_eq!(report["inputs"][0]["verify"]["verdict"], "not-usable");

    let absent = folder.path().join("absent.db");
    let report = folder.path().join("second.json");
    Answer::of(program().arg("status").arg(&absent).arg("--evidence").arg(&report)).exits(2);
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON");
    // There was nothing to compare: that is no sign of tampering.
    assert_eq!(report["inputs"][0].get("unchanged"), None);
    assert!(report["inputs"][0]["error"].as_str().is_some_and(|error| error.contains("No such file")));
}

#[test]
fn a_report_takes_nobodys_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    fs::write(&report, "mine").expect("written");
    let evidence = report.to_str().expect("UTF-8");
    let file = fixture("etcd-3.6");
    let refused = ask(&["status", &file, "--evidence", evidence]).exits(2);
    assert!(refused.out.is_empty());
    assert!(refused.err.contains("never overwritten"), "{}", refused.err);
    assert_eq!(fs::read(&report).expect("there"), b"mine");
    let nowhere = folder.path().join("no/such/report.json");
    ask(&["status", &file, "--evidence", nowhere.to_str().expect("UTF-8")]).exits(2);
    let own = folder.path().join("other.json");
    let refused = ask(&["version", "--evidence", own.to_str().expect("UTF-8")]).exits(2);
    assert!(refused.err.contains("reads no file"), "{}", refused.err);
    assert!(!own.exists());
}

/// What may be done with the input, by the names of system calls.
const HARMLESS: &[&str] = &[
    "access",
    "close",
    "execve",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fcntl",
    "flock",
    "fstat",
    "lseek",
    "lstat",
    "newfstatat",
    "openat",
    "pread64",
    "read",
    "readlink",
    "readlinkat",
    "stat",
    "statx",
];

/// Whether a traced system call that names the input leaves it as it is.
fn leaves_alone(line: &str, file: &str) -> bool {
    let Some((call, arguments)) = line.split_once('(') else { return true };
    let call = call.rsplit(' ').next().unwrap_or(call);
    match call {
        "openat" => {
            arguments.contains("O_RDONLY")
                && !["O_CREAT", "O_TRUNC"].iter().any(|flag| arguments.contains(flag))
        }
        "mmap" => !arguments.contains("PROT_WRITE"),
        // Writing what names the file (an answer, an error) to somewhere else.
        "write" | "pwrite64" | "writev" | "sendto" => {
            !arguments.split(',').next().unwrap_or_default().contains(&format!("<{file}>"))
        }
        // Cloning from it.
        "ioctl" => {
            arguments.contains("FICLONE") && !arguments.split(',').next().unwrap_or_default().contains(file)
        }
        call => HARMLESS.contains(&call),
    }
}

#[test]
fn no_system_call_could_change_the_input() {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_err() {
        assert!(std::env::var_os("ETCDSNAP_REQUIRE_UPSTREAM").is_none(), "strace is missing");
        return skipped("what the system is asked to do", "there is no strace");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = copy(folder.path());
    let trace = folder.path().join("trace");
    for more in [&[][..], &["--evidence", "REPORT"], &["--no-mmap"]] {
        for (index, command) in COMMANDS.iter().enumerate() {
            let out = folder.path().join(format!("out-{index}-{}", more.len() + more.concat().len()));
            let report = format!("{}.json", out.display());
            let more = more.iter().map(|word| if *word == "REPORT" { report.as_str() } else { word });
            let traced = Command::new("strace")
                .args(["-f", "-y", "-e", "trace=%file,%desc", "-o"])
                .arg(&trace)
                .arg(PROGRAM)
                .args(words(command, &file, &out.display().to_string()))
                .args(more)
                .env_remove("ETCDSNAP_FILE")
                .stdin(Stdio::null())
                .output()
                .expect("strace runs");
            let err = String::from_utf8_lossy(&traced.stderr);
            if err.contains("ptrace") {
                assert!(std::env::var_os("ETCDSNAP_REQUIRE_UPSTREAM").is_none(), "{err}");
                return skipped("what the system is asked to do", "strace may not trace here");
            }
            assert!(traced.status.code().is_some_and(|code| code < 2), "{command:?}: {err}");
            let lines = fs::read_to_string(&trace).expect("a trace");
            let about: Vec<_> = lines.lines().filter(|line| line.contains(&file)).collect();
            assert!(about.iter().any(|line| line.contains("openat(")), "{command:?}: the input was opened");
            for line in about {
                assert!(leaves_alone(line, &file), "{command:?}: {line}");
            }
        }
    }
}

#[test]
fn a_call_that_writes_is_recognised() {
    let bad = [
        r#"12 openat(AT_FDCWD, "/t/snap.db", O_RDWR|O_CLOEXEC) = 3</t/snap.db>"#,
        r#"12 openat(AT_FDCWD, "/t/snap.db", O_RDONLY|O_TRUNC) = 3</t/snap.db>"#,
        r#"12 pwrite64(3</t/snap.db>, "x", 1, 0) = 1"#,
        r#"12 ftruncate(3</t/snap.db>, 0) = 0"#,
        r#"12 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3</t/snap.db>, 0) = 0x7f"#,
        r#"12 unlink("/t/snap.db") = 0"#,
        r#"12 utimensat(AT_FDCWD, "/t/snap.db", NULL, 0) = 0"#,
        r#"12 ioctl(3</t/snap.db>, FICLONE, 4</t/other>) = 0"#,
    ];
    for line in bad {
        assert!(!leaves_alone(line, "/t/snap.db"), "{line}");
    }
}
