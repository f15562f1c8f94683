//! What only happens where there is a terminal: a password that is asked for, and text
//! that must do nothing to it.

mod harness;
mod support;

use std::fs;
use std::path::Path;

use harness::terminal::{Terminal, without_terminal};
use harness::{Answer, PROGRAM, ask, fixture, make_snapshot, tree};

const MEMBERS: &str = "n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380";

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

const FIRST: &str = "New password of root: ";
const SECOND: &str = "Once more: ";

/// Types these answers to the questions for a password.
fn answer(terminal: &mut Terminal, args: &[&str], answers: &[&str]) -> Answer {
    let questions = [FIRST, SECOND].into_iter().cycle();
    answer_each(terminal, args, &questions.zip(answers.iter().copied()).collect::<Vec<_>>())
}

/// Waits for each question before it answers.
fn answer_each(terminal: &mut Terminal, args: &[&str], answers: &[(&str, &str)]) -> Answer {
    assert!(terminal.echoes());
    let child = terminal.start(PROGRAM, args);
    for (question, keys) in answers {
        terminal.see(question);
        assert!(!terminal.echoes(), "nothing is shown while it is typed");
        terminal.type_in(keys);
    }
    let answer = Answer::from_output(&args.join(" "), child.wait_with_output().expect("an answer"));
    assert!(terminal.echoes(), "as it was before");
    answer
}

#[test]
fn a_password_is_asked_for_twice_and_never_seen() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, out) = (fixture("etcd-3.6"), place.path().join("out"));
    let mut terminal = Terminal::new();
    // The option that follows is no value of it.
    let args = ["restore", &file, "--reset-root-password", "--all-members", "--out-dir", text(&out)];
    let args = [&args[..], &["--initial-cluster", MEMBERS, "-o", "json"]].concat();
    let done = answer(&mut terminal, &args, &["s3cretly\r", "s3cretly\r"]).exits(0);
    for shown in [terminal.seen(), done.text(), &done.err] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let document = done.json();
    assert_eq!((&document["changes"]["rootPassword"], &document["faithful"]), (&true.into(), &false.into()));
    // The hash, for whoever restores another member by itself.
    let (_, hash) = done.err.split_once("--reset-root-password '").expect("the hash");
    let hash = hash.split('\'').next().expect("quoted");
    assert!(hash.starts_with("$2a$10$"), "{hash}");
    let single = place.path().join("single");
    let state = document["state"].as_str().expect("a state");
    let args = ["restore", &file, "--data-dir", text(&single), "--name", "n2", "--initial-cluster", MEMBERS];
    let flags = ["--initial-advertise-peer-urls", "http://10.0.0.2:2380", "--expect-state", state];
    ask(&[&args[..], &flags, &["--reset-root-password", hash]].concat()).exits(0);
    let db = |path: &Path| fs::read(path.join("member/snap/db")).expect("there");
    assert!(db(&single) == db(&out.join("n1")));

    // Another salt, and so another state: that is why single members cannot ask.
    let again = place.path().join("again.db");
    let args = ["repack", &file, text(&again), "--reset-root-password=prompt"];
    answer(&mut Terminal::new(), &args, &["a\r", "b\r", "x\x7fs3cretly\r", "s3cretly\r"]).exits(0);
    assert!(again.exists());
}

#[test]
fn a_question_that_is_not_answered_leaves_nothing_behind() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, out) = (fixture("etcd-3.6"), place.path().join("out.db"));
    let args = ["repack", &file, text(&out), "--reset-root-password"];
    for (answers, told) in [
        (&["half\x03"][..], "stopped"),
        (&["half\r", "\x04"], "stopped"),
        (&["a\r", "b\r", "a\r", "\r", "a\r", "b\r"], "the two answers differ"),
    ] {
        let refused = answer(&mut Terminal::new(), &args, answers).exits(2);
        assert!(refused.err.contains(told), "{}", refused.err);
    }
    let long = format!("{}\r", "x".repeat(73));
    for (keys, told) in
        [("\r", "the password is empty"), ("tab\tbed\r", "control character"), (&long, "72 bytes")]
    {
        let mut terminal = Terminal::new();
        answer_each(&mut terminal, &args, &[(FIRST, keys); 3]).exits(2).says(told);
        // The last time there is nothing to give up any more.
        let ways_out = terminal.seen().matches("Again, or Ctrl-C to give up.").count();
        assert_eq!(ways_out, 2, "{}", terminal.seen());
    }
    assert!(tree(place.path()).is_empty());
}

#[test]
fn a_question_that_was_answered_wrong_is_asked_again() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, out) = (fixture("etcd-3.6"), place.path().join("out.db"));
    let args = ["repack", &file, text(&out), "--reset-root-password"];
    let mut terminal = Terminal::new();
    let answers =
        [(FIRST, "\r"), (FIRST, "one\r"), (SECOND, "other\r"), (FIRST, "same\r"), (SECOND, "same\r")];
    answer_each(&mut terminal, &args, &answers).exits(0);
    assert!(out.exists());
    for told in ["the password is empty. Again, or Ctrl-C", "the two answers differ. Again, or Ctrl-C"] {
        assert!(terminal.seen().contains(told), "{}", terminal.seen());
    }
}

#[test]
fn where_nobody_can_be_asked_the_way_is_shown() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, out) = (fixture("etcd-3.6"), place.path().join("out.db"));
    let args = ["repack", &file, text(&out), "--reset-root-password"];
    let refused = Answer::from_output("repack", without_terminal(PROGRAM, &args));
    refused.refuses(2).says("no terminal").says("htpasswd");
    // One member of several.
    let target = place.path().join("etcd");
    let args = ["restore", &file, "--data-dir", text(&target), "--reset-root-password"];
    ask(&args).refuses(2).says("--all-members").says("$2a$10$");
    // A file where a hash may stand.
    let swallowed = ["restore", "--data-dir", text(&target), "--reset-root-password", &file];
    ask(&swallowed).exits(2).says("--reset-root-password=prompt");
    assert!(tree(place.path()).is_empty());
}

#[test]
fn a_path_gives_bytes_to_a_pipe_and_escapes_to_a_terminal() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("snap.db");
    let object = br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c","namespace":"default"},"data":{"k":"a\u001b[31m\u202eb\tc\nd\u009b\u00e9"}}"#;
    make_snapshot(&file, &[(b"/registry/configmaps/default/c", object)]);
    let args = ["get", text(&file), "cm", "c", "-o", "jsonpath={.data.k}"];
    let raw = "a\u{1b}[31m\u{202e}b\tc\nd\u{9b}\u{e9}";
    assert_eq!(ask(&args).exits(0).text(), raw);
    let mut terminal = Terminal::new();
    let mut command = harness::program();
    let mut child = command.args(args).stdout(terminal.program()).spawn().expect("started");
    terminal.see("\u{e9}");
    assert!(child.wait().expect("ended").success());
    assert_eq!(terminal.seen().replace("\r\n", "\n"), "a\\x1b[31m\\u{202e}b\tc\nd\\u{9b}\u{e9}");

    // JSON and YAML have escapes of their own, which mean the same.
    for (form, escaped) in [
        ("json", r#""a\u001b[31m\u202eb\tc\nd\u009bé""#),
        ("jsonl", r#""a\u001b[31m\u202eb\tc\nd\u009bé""#),
        ("yaml", r#""a\e[31m\u202Eb\tc\nd\x9Bé""#),
    ] {
        let answer = ask(&["get", text(&file), "cm", "c", "-o", form]).exits(0);
        assert!(answer.text().contains(escaped), "{}", answer.text());
        if form == "yaml" {
            let value: serde_json::Value = yaml_serde::from_str(answer.text()).expect("YAML");
            assert_eq!(value["data"]["k"], raw);
        } else {
            assert_eq!(answer.json()["data"]["k"], raw);
        }
    }
    // Titles that were typed.
    let columns = "custom-columns=A\u{202e}\u{1b}[1m:.metadata.name";
    let table = ask(&["get", text(&file), "cm", "-o", columns]).exits(0);
    assert!(!table.text().contains(['\u{202e}', '\u{1b}']), "{}", table.text());
    let table = ask(&["get", text(&file), "cm", "-L", "x\u{202e}\u{9b}"]).exits(0);
    assert!(!table.text().contains(['\u{202e}', '\u{9b}']), "{}", table.text());
}

#[test]
fn what_cannot_be_seen_is_shown_on_a_terminal_and_given_to_a_pipe_as_kubectl_gives_it() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("snap.db");
    let unseen = "ad\u{ad}min\u{3164}\u{2764}\u{fe0f}\u{e0041}";
    let object = format!(
        r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"c","namespace":"default"}},"data":{{"k":"{unseen}"}}}}"#
    );
    let key = format!("/registry/configmaps/default/c{unseen}");
    make_snapshot(
        &file,
        &[(b"/registry/configmaps/default/c", object.as_bytes()), (key.as_bytes(), object.as_bytes())],
    );
    // Text of our own: always.
    let escaped = "ad\\u{ad}min\\u{3164}\u{2764}\\u{fe0f}\\u{e0041}";
    ask(&["keys", text(&file)]).exits(0).says(&format!("/registry/configmaps/default/c{escaped}"));
    // What kubectl prints: on a terminal alone.
    let columns = ["get", text(&file), "cm", "c", "--no-headers", "-o", "custom-columns=K:.data.k"];
    assert_eq!(ask(&columns).exits(0).text(), format!("{unseen}\n"));
    let mut terminal = Terminal::new();
    let mut child = harness::program().args(columns).stdout(terminal.program()).spawn().expect("started");
    terminal.see("e0041}");
    assert!(child.wait().expect("ended").success());
    assert!(terminal.seen().contains(escaped), "{}", terminal.seen());
    for form in ["json", "yaml"] {
        let answer = ask(&["get", text(&file), "cm", "c", "-o", form]).exits(0);
        // As Go's YAML, which writes only what has four bytes as an escape.
        let (kept, tag) = if form == "json" {
            (unseen, "")
        } else {
            ("ad\u{ad}min\u{3164}\u{2764}\u{fe0f}", "\\U000E0041")
        };
        assert!(answer.text().contains(&format!("{kept}{tag}")), "{}", answer.text());
    }
}

/// What a program writes to a terminal of so many columns, on both of its outputs.
fn shown(columns: u16, args: &[&str]) -> String {
    let terminal = Terminal::with_columns(columns);
    let mut child = harness::program()
        .args(args)
        .stdout(terminal.program())
        .stderr(terminal.program())
        .spawn()
        .expect("started");
    let seen = terminal.all_until_closed();
    child.wait().expect("ended");
    seen.replace("\r\n", "\n")
}

/// Text without colours and without regard to where its lines are broken.
fn words(text: &str) -> String {
    let mut plain = String::new();
    for (index, piece) in text.split('\u{1b}').enumerate() {
        plain.push_str(if index == 0 { piece } else { piece.split_once('m').map_or("", |(_, text)| text) });
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn sentences_fit_the_terminal_and_stay_whole_in_a_pipe() {
    let place = tempfile::tempdir().expect("a directory");
    let damaged = place.path().join("damaged.db");
    let mut bytes = fs::read(fixture("k8s-1.35-etcd-3.6")).expect("a file");
    // A leaf of bucket `key` that is of no kind.
    bytes[20 * 4096 + 8] = 0x77;
    fs::write(&damaged, bytes).expect("written");
    let verify = ["verify", text(&damaged)];
    let whole = ask(&verify).exits(1);
    assert!(whole.text().lines().any(|line| line.len() > 120), "{}", whole.text());
    let keys = ["keys", "--skip-damaged", text(&damaged), "/none"];
    let skipped = ask(&keys).exits(1);
    let help = ask(&["verify", "--help"]).exits(0);
    for columns in [40, 60, 77] {
        for (args, piped) in
            [(&verify[..], whole.text()), (&keys, &skipped.err), (&["verify", "--help"], help.text())]
        {
            let seen = shown(columns, args);
            // A path or a digest is longer than some terminals, and a table is a table.
            let long = |line: &&str| line.chars().count() > usize::from(columns) && line.trim().contains(' ');
            // And what may be copied stays in one piece.
            let is_word = |line: &&str| {
                line.trim_start().starts_with('`') || line.split_whitespace().any(|word| word.len() > 36)
            };
            let is_table = |line: &&str| line.starts_with("  ok  ") || line.contains("[OPTIONS]");
            for line in words_by_line(&seen).iter().map(String::as_str).filter(long) {
                assert!(is_word(&line) || is_table(&line), "{columns} columns: {line:?}");
            }
            assert!(seen.lines().count() > piped.lines().count(), "{seen}");
            if args.len() > 1 && args[1] != "--help" {
                assert_eq!(words(&seen), words(piped));
            }
        }
    }
}

fn words_by_line(text: &str) -> Vec<String> {
    let plain = |line: &str| {
        let pieces = line.split('\u{1b}').enumerate();
        let text = |(index, piece): (usize, &str)| match index {
            0 => piece.to_owned(),
            _ => piece.split_once('m').map_or(String::new(), |(_, text)| text.to_owned()),
        };
        pieces.map(text).collect::<String>()
    };
    text.lines().map(plain).collect()
}

#[test]
fn what_verify_found_in_the_small_buckets_does_nothing_to_a_terminal() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("snap.db");
    let escapes = "\u{1b}[2J\n\r\u{9b}1m\u{202e}3.6.0";
    let mut store = support::store::Store::sample(60);
    *store.value("cluster", "clusterVersion") = escapes.into();
    *store.value("meta", "storageVersion") = escapes.into();
    *store.value("meta", "confState") = format!("{{\"{escapes}\":1}}").into();
    let member = format!("{{\"id\":1,\"name\":\"a\",\"peerURLs\":\"{escapes}\"}}");
    *store.value("members", "1") = member.into();
    fs::write(&file, store.build().file).expect("written");
    let target = place.path().join("etcd");
    for args in [
        &["verify", text(&file)][..],
        &["verify", "-v", text(&file)],
        &["members", text(&file)],
        &["status", text(&file)],
        &["restore", "--dry-run", "--data-dir", text(&target), text(&file)],
    ] {
        let answer = ask(args);
        for shown in [answer.text(), &answer.err] {
            assert!(!shown.contains(['\u{1b}', '\r', '\u{9b}', '\u{202e}']), "{args:?}: {shown:?}");
        }
        if args[0] == "verify" {
            let lines = answer.text().matches("found no version: \"\\x1b[2J\\n").count();
            assert_eq!(lines, 2, "{}", answer.text());
        }
    }
}
