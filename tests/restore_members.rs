//! Where the members of the new cluster come from, and how they are started: as
//! an operator asks for it.

mod harness;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use harness::{Answer, ask, fixture};

const THREE: &str =
    "node1=https://10.20.30.101:2380,node2=https://10.20.30.102:2380,node3=https://10.20.30.103:2380";

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn write(place: &TempDir, name: &str, content: &str) -> String {
    let path = place.path().join(name);
    fs::write(&path, content).expect("written");
    text(&path).to_owned()
}

/// A restore to a new directory in `place`.
fn restore(place: &TempDir, file: &str, more: &[&str]) -> Answer {
    let target = place.path().join("etcd");
    let _ = fs::remove_dir_all(&target);
    ask(&[&["restore", file, "--data-dir", text(&target)], more].concat())
}

/// The database of a cluster of three, which lists them.
fn three(place: &TempDir) -> String {
    let target = place.path().join("three");
    let more = ["--name=node2", "--initial-cluster", THREE, "--initial-advertise-peer-urls"];
    let start = ["restore", &fixture("etcd-3.6"), "--data-dir", text(&target)];
    ask(&[&start[..], &more[..], &["https://10.20.30.102:2380"]].concat()).exits(0);
    text(&target.join("member/snap/db")).to_owned()
}

fn ids(answer: &Answer) -> (String, String, Vec<String>) {
    let page = answer.json();
    let text = |name: &str| page[name].as_str().expect("text").to_owned();
    let member = |member: &serde_json::Value| {
        format!("{} {} {}", member["id"], member["name"], member["peerURLs"]).replace('"', "")
    };
    let members = page["members"].as_array().expect("members").iter().map(member).collect();
    (text("memberId"), text("clusterId"), members)
}

#[test]
fn a_file_stands_for_the_flags() {
    let place = place();
    let by_flags =
        ["--name=node1", "--initial-cluster", THREE, "--initial-cluster-token", "again", "-o", "json"];
    let url = ["--initial-advertise-peer-urls", "https://10.20.30.101:2380"];
    let expected = ids(&restore(&place, &fixture("etcd-3.6"), &[&by_flags[..], &url[..]].concat()).exits(0));
    let member =
        |number: u8| format!("- name: node{number}\n  peerURLs: [https://10.20.30.10{number}:2380]\n");
    let yaml = format!("token: again\nmembers:\n{}{}{}", member(1), member(3), member(2));
    let file = write(&place, "members.yaml", &yaml);
    let more = ["--name=node1", "--members-file", &file, "-o", "json"];
    assert_eq!(ids(&restore(&place, &fixture("etcd-3.6"), &more).exits(0)), expected);

    // What a snapshot lists, printed and read again.
    let db = three(&place);
    let printed = ask(&["members", &db, "-o", "json"]).exits(0);
    let file = write(&place, "members.json", printed.text());
    let more = ["--name=node1", "--members-file", &file, "--initial-cluster-token", "again", "-o", "json"];
    assert_eq!(ids(&restore(&place, &fixture("etcd-3.6"), &more).exits(0)), expected);
    let same = [
        "--name=node1",
        "--same-members",
        "--initial-cluster-token",
        "again",
        "-o",
        "json",
        "--skip-hash-check",
    ];
    assert_eq!(ids(&restore(&place, &db, &same).exits(0)), expected);
}

#[test]
fn the_commands_for_the_other_members_say_the_same() {
    let place = place();
    let db = three(&place);
    let more = ["--name=node1", "--same-members", "--skip-hash-check", "--map-url", "10.20.30.102=10.9.0.2"];
    let answer = restore(&place, &db, &more).exits(0);
    let command = answer.text().lines().find(|line| line.contains("--name node2")).expect("a command");
    assert!(!command.contains("--initial"), "{command}");
    let words: Vec<_> = command.split_whitespace().skip(1).filter(|word| *word != "DIR").collect();
    let (last, words) = words.split_last().expect("words");
    assert_eq!(*last, "--data-dir");
    let target = place.path().join("other");
    let other = ask(&[words, &["--data-dir", text(&target), "-o", "json"]].concat()).exits(0);
    let page = restore(&place, &db, &[&more[..], &["-o", "json"]].concat()).exits(0);
    assert_eq!(ids(&other).1, ids(&page).1);
    assert_eq!(other.json()["name"], "node2");
    assert!(ids(&other).2.iter().any(|member| member.ends_with("node2 [https://10.9.0.2:2380]")));
}

#[test]
fn the_same_members_at_the_same_place_are_warned_of() {
    let place = place();
    let db = three(&place);
    let same = ["--name=node1", "--same-members", "--skip-hash-check"];
    let ids_of_old = "3 members have ids of members of the old cluster";
    restore(&place, &db, &same)
        .exits(0)
        .says(ids_of_old)
        .says("--initial-cluster-token than \"etcd-cluster\"");
    let answer =
        restore(&place, &db, &[&same[..], &["--initial-cluster-token", "recovery-1"]].concat()).exits(0);
    assert!(!answer.err.contains("of the old cluster"), "{}", answer.err);
}

#[test]
fn only_one_place_can_say_who_the_members_are() {
    let place = place();
    let file = write(&place, "members.yaml", "members: []\n");
    for more in [
        &["--same-members", "--initial-cluster", THREE][..],
        &["--members-file", &file, "--initial-cluster", THREE],
        &["--members-file", &file, "--same-members"],
        &["--map-url", "a=b"],
        &["--initial-cluster", THREE, "--map-url", "a=b"],
        &["--same-members", "--map-url", "10.0.0.1"],
        &["--same-members", "--map-url", "10.0.0.1=http://10.0.0.2:1"],
    ] {
        restore(&place, &fixture("etcd-3.6"), more).refuses(2);
        assert!(!place.path().join("etcd").exists());
    }
    // Of the two, that which was given.
    let both = ["--same-members", "--initial-cluster", THREE];
    let answer = restore(&place, &fixture("etcd-3.6"), &both).refuses(2).says("--same-members");
    assert!(!answer.err.contains("--members-file"), "{}", answer.err);
}

#[test]
fn a_member_must_be_one_of_the_list() {
    let place = place();
    let db = three(&place);
    for name in [&[][..], &["--name", "node4"]] {
        let answer =
            restore(&place, &db, &[&["--same-members", "--skip-hash-check"], name].concat()).refuses(2);
        answer.says("there is no member").says("node1, node2, node3").says("in the snapshot");
    }
    let other = ["--name=node1", "--initial-advertise-peer-urls", "https://10.20.30.102:2380"];
    restore(&place, &db, &[&["--same-members", "--skip-hash-check"], &other[..]].concat())
        .refuses(2)
        .says("the snapshot has https://10.20.30.101:2380 for node1, and --initial-advertise-peer-urls is https://10.20.30.102:2380")
        .says("leave --initial-advertise-peer-urls out");
}

/// A restore that is refused before anything is read, with its error and its hints.
fn refused(place: &TempDir, more: &[&str]) -> String {
    let answer = restore(place, &fixture("etcd-3.6"), more).refuses(2);
    assert!(!place.path().join("etcd").exists());
    answer.err
}

#[test]
fn what_does_not_fit_is_told_with_the_flag_to_give() {
    let place = place();
    let node1 = ["--name=node1", "--initial-cluster", THREE];
    let url = "--initial-advertise-peer-urls=https://10.20.30.101:2380";
    let other = "--initial-advertise-peer-urls=https://10.20.30.109:2380";
    for (more, expected) in [
        (
            &node1[..],
            "error: --initial-advertise-peer-urls was not given; --initial-cluster has https://10.20.30.101:2380 for node1\n  \
             hint: add --initial-advertise-peer-urls=https://10.20.30.101:2380\n",
        ),
        (
            &[node1[0], node1[1], node1[2], other],
            "error: --initial-cluster has https://10.20.30.101:2380 for node1, and --initial-advertise-peer-urls is https://10.20.30.109:2380\n  \
             hint: if --initial-cluster is right: --initial-advertise-peer-urls=https://10.20.30.101:2380\n  \
             hint: if not: node1=https://10.20.30.109:2380 belongs into it, on every node\n",
        ),
        (
            &["--name=ndoe2", "--initial-cluster", THREE, url],
            "error: there is no member \"ndoe2\" in --initial-cluster\n  \
             hint: --name says which of them this is: node2, node1, node3\n",
        ),
        (
            &["--name=master", "--initial-cluster", THREE, url],
            "error: there is no member \"master\" in --initial-cluster\n  \
             hint: --name says which of them this is: node1, node2, node3\n",
        ),
        (
            &["--initial-cluster", THREE, url],
            "error: --name was not given, and there is no member \"default\" in --initial-cluster\n  \
             hint: --name says which of them this is: node1, node2, node3\n",
        ),
        (
            &["--name=node1", url],
            "error: --initial-cluster was not given, and its default has only the member \"default\", not \"node1\"\n  \
             hint: add --initial-cluster with all members of the new cluster, this one too: node1=https://HOST:2380\n",
        ),
        (
            &["--name=node1", "--initial-cluster=", url],
            "error: there are no members in --initial-cluster\n  hint: it has all members of the new cluster: NAME=URL,NAME=URL...\n",
        ),
        (
            &[
                "--name=a",
                "--initial-cluster=a=http://h:1,b=http://z:1,b=http://h:1",
                "--initial-advertise-peer-urls=http://h:1",
            ],
            "error: --initial-cluster has http://h:1 twice: for a and for b\n  \
             hint: every member needs a peer URL of its own: correct one of the two\n",
        ),
        (
            &[
                "--name=a",
                "--initial-cluster=a=http://h:1,a=http://g:1",
                "--initial-advertise-peer-urls=http://h:1",
            ],
            "error: --initial-cluster has http://g:1,http://h:1 for a (a is there 2 times), and --initial-advertise-peer-urls is http://h:1\n  \
             hint: if --initial-cluster is right: --initial-advertise-peer-urls=http://g:1,http://h:1\n  \
             hint: if not: a=http://h:1 belongs into it, on every node\n  \
             hint: a name that comes again adds a URL to its member: if 2 members were meant, give each a name of its own\n",
        ),
        (
            &[
                "--name=a",
                "--initial-cluster=a=http://h:1",
                "--initial-advertise-peer-urls=http://h:1,http://h:1",
            ],
            "error: --initial-cluster has http://h:1 for a, and --initial-advertise-peer-urls is http://h:1,http://h:1\n  \
             hint: if --initial-cluster is right: --initial-advertise-peer-urls=http://h:1\n",
        ),
        (
            &["--name=a", "--initial-cluster=a=http://HOST:1", "--initial-advertise-peer-urls=http://host:1"],
            "error: --initial-cluster has http://HOST:1 for a, and --initial-advertise-peer-urls is http://host:1\n  \
             hint: if --initial-cluster is right: --initial-advertise-peer-urls=http://HOST:1\n  \
             hint: if not: a=http://host:1 belongs into it, on every node\n  \
             hint: write the same in both: no name is looked up, and names are compared as text\n",
        ),
    ] {
        assert_eq!(refused(&place, more), expected, "{more:?}");
    }
}

#[test]
fn what_is_no_member_is_told_with_what_to_write() {
    let place = place();
    let cluster = |text: &str| refused(&place, &["--name=node1", "--initial-cluster", text]);
    let url = "a URL is https://HOST:PORT, with nothing behind the port";
    for (text, error, hint) in [
        (
            "https://10.20.30.101:2380",
            "\"https://10.20.30.101:2380\" is not of the form NAME=URL",
            "put the member's name before each of its URLs: NAME=https://10.20.30.101:2380",
        ),
        (
            "node1",
            "\"node1\" is not of the form NAME=URL",
            "a member is NAME=URL, as node1=https://10.20.30.101:2380, and a comma stands between two",
        ),
        ("node1=", "node1: there is no URL", url),
        (
            "node1=10.20.30.101:2380",
            "node1: \"10.20.30.101:2380\" does not begin with https:// or http://",
            url,
        ),
        (
            "node1=https://a:1,node2=https://a:99999",
            "node2: \"https://a:99999\" has port 99999, and 65535 is the last",
            url,
        ),
        (
            "node1=https://a:1, node2=https://b:1",
            "the name \" node2\" begins or ends with a blank",
            "write the name without blanks around it, and none behind a comma: no etcd is started with such a name",
        ),
        (
            "  =https://a:1",
            "there is no name before a `=`",
            "write the name without blanks around it, and none behind a comma: no etcd is started with such a name",
        ),
    ] {
        assert_eq!(cluster(text), format!("error: --initial-cluster: {error}\n  hint: {hint}\n"));
    }
    for name in [" node1", "node1 ", "", " "] {
        let told = refused(&place, &["--name", name, "--initial-cluster", THREE]);
        let error = format!("error: --name {name:?} is empty, or begins or ends with a blank\n");
        assert!(told.starts_with(&error), "{told}");
    }
}

#[test]
fn a_file_of_members_is_spoken_of_and_no_flag_that_was_not_given() {
    let place = place();
    let one = |name: &str, url: &str| format!("- {{name: '{name}', peerURLs: ['{url}']}}\n");
    let file =
        write(&place, "m.yaml", &format!("members:\n{}{}", one("a", "https://a:1"), one("b", "https://b:1")));
    for (more, words) in [
        (&["--name=c"][..], "there is no member \"c\" in "),
        (&["--name=a", "--initial-advertise-peer-urls=https://b:1"], "m.yaml has https://a:1 for a, and "),
        (&[], "--name was not given, and there is no member \"default\" in "),
    ] {
        let told = refused(&place, &[&["--members-file", &file], more].concat());
        assert!(told.contains(words) && !told.contains("--initial-cluster"), "{told}");
    }
    let file = write(&place, "m.yaml", &format!("members:\n{}", one(" a", "https://a:1")));
    let told = refused(&place, &["--members-file", &file]);
    assert!(
        told.contains("members[0]: the name \" a\" begins or ends with a blank\n  hint: write"),
        "{told}"
    );
    let file = write(&place, "m.txt", "+----+---------+\n| ID | STATUS  |\n+----+---------+\n");
    let told = refused(&place, &["--members-file", &file]);
    let save = "  hint: save it with -w json: `etcdctl member list -w json > members.json`\n";
    assert!(told.contains("m.txt: it is what `etcdctl member list -w table` prints\n"), "{told}");
    assert!(told.ends_with(save) && told.lines().count() == 2, "{told}");
}

#[test]
fn a_file_that_is_no_list_is_refused_with_its_place() {
    let place = place();
    let one = |name: &str, url: &str| format!("- {{name: {name}, peerURLs: ['{url}']}}\n");
    let (a, b) = (one("node1", "https://a:1"), one("b", "https://b:1"));
    for (content, words) in [
        (String::new(), "it is empty"),
        ("members: [}\n".to_owned(), "line 1"),
        (format!("members:\n{a}  laerner: true\n"), "line "),
        ("members: []\ntokens: x\n".to_owned(), "unknown field `tokens`"),
        ("members: []\n".to_owned(), "there are no members"),
        (format!("members:\n{a}{a}"), "both called \"node1\""),
        (format!("members:\n{a}{}", one("b", "https://a:1")), "is there twice: node1, b"),
        (format!("members:\n{a}- {{name: b}}\n"), "has no peer URLs"),
        (format!("members:\n{a}- {{peerURLs: ['https://b:1']}}\n"), "(https://b:1) has no name"),
        (
            format!("members:\n{a}{}", one("b", "https://b")),
            "members[1] (b): \"https://b\" is not of the form",
        ),
        (format!("members:\n{}", one("'a,b'", "https://b:1")), "has a `,`"),
        ("members: [{name: node1, peerURLs: ['https://a:1'], learner: true}]".to_owned(), "no vote"),
        (format!("members:\n{a}{b}token: own\n"), "--initial-cluster-token: the token \"other\" was given"),
        (" ".repeat(70_000), "no list of members has"),
        ("\u{1b}]0;x\u{7}: 1".to_owned(), ""),
    ] {
        let file = write(&place, "members.yaml", &content);
        let more = ["--name=node1", "--members-file", &file, "--initial-cluster-token", "other"];
        let answer = restore(&place, &fixture("etcd-3.6"), &more).refuses(2).says(words);
        assert!(!answer.err.contains('\u{1b}'), "{}", answer.err);
    }
    let file = write(&place, "members.yaml", &format!("members:\n{a}{b}"));
    let more = ["--name=node1", "--members-file", &file, "--map-url"];
    for (map, words) in [
        ("c=d", "no peer URL is c"),
        ("https://a:2=https://c:2", "no peer URL is https://a:2"),
        ("b=a", "the peer URL https://a:1 is there twice"),
    ] {
        restore(&place, &fixture("etcd-3.6"), &[&more[..], &[map]].concat()).refuses(2).says(words);
    }
    let absent = place.path().join("absent");
    for file in [text(&absent), text(place.path())] {
        let more = ["--name=node1", "--members-file", file];
        restore(&place, &fixture("etcd-3.6"), &more).refuses(2).says("cannot read the members in");
    }
    assert!(!place.path().join("etcd").exists());
}

#[test]
fn a_snapshot_that_cannot_say_is_refused_with_a_way_round() {
    let place = place();
    let instead = "--members-file members.json";
    let empty = write(&place, "empty.db", "");
    restore(&place, &empty, &["--same-members"]).refuses(1);
    // A byte in the only member's JSON, which no page check sees.
    let mut bytes = fs::read(three(&place)).expect("there");
    let needle = b"\"name\":\"node1\"";
    let at = (0..bytes.len() - needle.len()).rev().find(|at| bytes[*at..].starts_with(needle));
    let at = at.expect("a member");
    bytes[at..at + needle.len()].copy_from_slice(b"\"name\":\"node2\"");
    let twice = place.path().join("twice.db");
    fs::write(&twice, &bytes).expect("written");
    let same = ["--name=node2", "--same-members", "--skip-hash-check"];
    restore(&place, text(&twice), &same).refuses(1).says("both called \"node2\"").says(instead);
    bytes[at..at + needle.len()].copy_from_slice(b"\"name\":\"\"     ");
    fs::write(&twice, &bytes).expect("written");
    restore(&place, text(&twice), &same)
        .refuses(1)
        .says("has no name")
        .says("never been started")
        .says(instead);
    bytes[at] = b'!';
    fs::write(&twice, &bytes).expect("written");
    restore(&place, text(&twice), &same).refuses(1).says("the list of members is damaged").says(instead);
    assert!(!place.path().join("etcd").exists());
}

#[test]
fn how_to_start_stands_behind_the_page_and_in_the_document() {
    let place = place();
    let url = "https://10.20.30.101:2380";
    let one = [
        "--name=node1",
        "--initial-cluster",
        "node1=https://10.20.30.101:2380",
        "--initial-advertise-peer-urls",
        url,
    ];
    let target = place.path().join("etcd");
    for (form, words) in [
        ("env", format!("\nETCD_NAME=node1\nETCD_DATA_DIR={}\n", text(&target))),
        ("systemd", "\nEnvironment=\"ETCD_NAME=node1\"\n".to_owned()),
        ("kubeadm", format!("\n#    The data is in {}: the hostPath of the volume etcd-data", text(&target))),
    ] {
        let page =
            restore(&place, &fixture("etcd-3.6"), &[&one[..], &["--start-flags", form]].concat()).exits(0);
        let (before, section) = page.text().split_once("\nTo start it:\n\n").expect("a section");
        assert!(before.contains("\nNext:\n") && section.contains(&words), "{}", page.text());
        let more = ["--start-flags", form, "-o", "json"];
        let document = restore(&place, &fixture("etcd-3.6"), &[&one[..], &more[..]].concat()).exits(0).json();
        let expected = serde_json::json!([{"name": "node1", "form": form, "text": section}]);
        assert_eq!(document["startFlags"], expected);
    }
    let plain = restore(&place, &fixture("etcd-3.6"), &[&one[..], &["-o", "json"]].concat()).exits(0).json();
    assert_eq!(plain.get("startFlags"), None);
    // The members of the old cluster are those to join.
    let db = three(&place);
    let more = ["--start-flags", "kubeadm", "--skip-hash-check"];
    restore(&place, &db, &[&one[..], &more[..]].concat())
        .exits(0)
        .says("\nec member add node2 --peer-urls=https://10.20.30.102:2380\n")
        .says("\nec member add node3 --peer-urls=https://10.20.30.103:2380\n");
}

#[test]
fn learners_of_a_list_stay_learners() {
    let place = place();
    let list = "members:\n- {name: node1, peerURLs: ['https://a:1']}\n- {name: node2, peerURLs: ['https://b:1'], learner: true}\n";
    let file = write(&place, "members.yaml", list);
    let more = ["--name=node1", "--members-file", &file];
    restore(&place, &fixture("etcd-3.6"), &more).exits(0).says("promote");
    let kept = place.path().join("kept.db");
    fs::rename(place.path().join("etcd/member/snap/db"), &kept).expect("moved");
    let same = ["--name=node2", "--same-members", "--skip-hash-check", "-o", "json"];
    let document = restore(&place, text(&kept), &same).exits(0).json();
    let learners: Vec<_> = document["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| (member["name"].to_string(), member["isLearner"] == true))
        .collect();
    assert!(learners.contains(&("\"node1\"".to_owned(), false)), "{learners:?}");
    assert!(learners.contains(&("\"node2\"".to_owned(), true)), "{learners:?}");
    // With the only voter made one as well, nobody is left.
    restore(&place, text(&kept), &[&same[..], &["--learners", "node1"]].concat()).refuses(2);
}

#[test]
fn all_members_and_a_plan_say_how_to_start_as_well() {
    let place = place();
    let db = three(&place);
    let out_dir = place.path().join("all");
    let more = ["--same-members", "--skip-hash-check", "--all-members", "--out-dir", text(&out_dir)];
    for dry_run in [&["--dry-run"][..], &[]] {
        let json = [&["restore", &db][..], &more, dry_run, &["--start-flags=env", "-o", "json"]].concat();
        let document = ask(&json).exits(0).json();
        let starts = document["startFlags"].as_array().expect("a list");
        let names: Vec<_> = starts.iter().map(|start| start["name"].as_str().expect("a name")).collect();
        assert_eq!(names, ["node1", "node2", "node3"]);
        for (name, start) in names.iter().zip(starts) {
            let text = start["text"].as_str().expect("text");
            assert!(text.contains(&format!("\nETCD_NAME={name}\nETCD_DATA_DIR=/var/lib/etcd\n")), "{text}");
            assert!(text.contains(document["state"].as_str().expect("a state")), "{text}");
        }
        assert_eq!(out_dir.exists(), dry_run.is_empty());
    }
    fs::remove_dir_all(&out_dir).expect("removed");
    let answer = ask(&[&["restore", &db][..], &more, &["--start-flags=kubeadm"]].concat()).exits(0);
    let section = answer.text().split_once("\nTo start it:\n\n").expect("a section").1;
    assert_eq!(section.matches("\n# On node").count(), 3, "{section}");
    assert_eq!(section.matches("\n# 4. ").count(), 1, "{section}");
    assert!(section.contains("bring each member to its node"), "{section}");
    // One way to put old data aside, not two.
    assert_eq!(answer.text().matches("etcd.old").count(), 1, "{}", answer.text());
    assert!(!answer.text().contains("member.old"), "{}", answer.text());
}

#[test]
fn what_cannot_be_written_down_is_said_before_anything_is_restored() {
    let place = place();
    let name = "n\nLD_PRELOAD";
    let cluster = format!("{name}=https://10.20.30.101:2380");
    let more = [
        "--name",
        name,
        "--initial-cluster",
        &cluster,
        "--initial-advertise-peer-urls",
        "https://10.20.30.101:2380",
        "--start-flags=env",
    ];
    restore(&place, &fixture("etcd-3.6"), &more).refuses(2).says("a member's name or URL has characters");
    assert!(!place.path().join("etcd").exists());
}

#[test]
fn all_members_of_nobody_are_no_cluster() {
    let place = place();
    let out_dir = place.path().join("all");
    let more = ["--initial-cluster=", "--all-members", "--out-dir", text(&out_dir)];
    for dry_run in [&["--dry-run"][..], &[]] {
        let answer = ask(&[&["restore", &fixture("etcd-3.6")][..], &more, dry_run].concat()).refuses(2);
        answer.says("error: there are no members in --initial-cluster\n");
        assert!(!out_dir.exists());
    }
}
