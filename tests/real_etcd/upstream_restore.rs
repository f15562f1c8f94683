//! What upstream's own restore writes from the same file and flags.

use std::path::Path;

use super::process::{Tools, etcdsnap, run};
use super::snapshots::{Fixture, KUBERNETES_OF_3_5, KUBERNETES_OF_3_6, OF_3_4, OF_3_5, OF_3_6, db_of};

const CLUSTER: &str = "n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380";

/// Restores with both and compares what they made. `only_ours` is for etcdsnap alone.
fn same_as_upstream(tools: &Tools, line: &str, file: &Path, more: &[&str], only_ours: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let [ours, theirs] = ["ours", "theirs"].map(|name| folder.path().join(name));
    let flags = |data_dir: &Path| {
        let mut flags =
            vec![file.as_os_str().to_owned(), "--data-dir".into(), data_dir.as_os_str().to_owned()];
        flags.extend(["--name", "n2", "--initial-cluster", CLUSTER].map(Into::into));
        flags.extend(["--initial-advertise-peer-urls", "http://10.0.0.2:2380"].map(Into::into));
        flags.extend(more.iter().map(Into::into));
        flags
    };
    let mut upstream = tools.command(&format!("etcdutl-{line}"));
    run(upstream.args(["snapshot", "restore"]).args(flags(&theirs))).expect(0);
    let only_ours = only_ours.iter().map(Into::into).collect();
    etcdsnap([vec!["restore".into()], flags(&ours), only_ours].concat()).expect(0);

    let status = |data_dir: &Path| {
        let args = ["status".as_ref(), "-w".as_ref(), "json".as_ref()];
        let db = db_of(data_dir);
        etcdsnap(args.into_iter().chain([db.as_os_str()])).expect(0).json()
    };
    let (mut our_status, mut their_status) = (status(&ours), status(&theirs));
    // Upstream reuses free pages, a restore here leaves all of the snapshot's as they are.
    for status in [&mut our_status, &mut their_status] {
        status["totalSize"].take();
    }
    assert_eq!(our_status, their_status, "{} {more:?}", file.display());
    let wal = |data_dir: &Path| {
        let segment = "member/wal/0000000000000000-0000000000000000.wal";
        std::fs::read(data_dir.join(segment)).expect("a WAL")
    };
    assert!(wal(&ours) == wal(&theirs), "the WALs differ: {} {more:?}", file.display());
    let answer = run(tools.command("bbolt").arg("check").arg(db_of(&ours))).expect(0);
    assert_eq!(answer.text().trim(), "OK");
    run(tools.command(&format!("etcdutl-{line}")).args(["snapshot", "status"]).arg(db_of(&ours))).expect(0);
}

fn with_and_without_bump(tools: &Tools, line: &str, file: &Path) {
    same_as_upstream(tools, line, file, &[], &[]);
    same_as_upstream(tools, line, file, &["--bump-revision", "1000000000", "--mark-compacted"], &[]);
    same_as_upstream(tools, line, file, &["--initial-cluster-token", "another"], &[]);
}

/// A file of an older line, restored for a newer one.
fn for_a_newer_line(tools: &Tools, line: &str, files: &[&Fixture]) {
    for fixture in files {
        same_as_upstream(tools, line, &fixture.path(), &[], &["--target-version", line]);
    }
}

/// What upstream's `migrate` leaves in bucket `meta`, and what `--downgrade` does.
fn downgraded_as_upstream(tools: &Tools, line: &str, file: &Path, target: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let [ours, theirs] = ["ours", "theirs"].map(|name| folder.path().join(name));
    let mut upstream = tools.command(&format!("etcdutl-{line}"));
    run(upstream.args(["snapshot", "restore"]).arg(file).arg("--data-dir").arg(&theirs)).expect(0);
    let mut migrate = tools.command(&format!("etcdutl-{line}"));
    run(migrate.args(["migrate", "--target-version", target, "--data-dir"]).arg(&theirs)).expect(0);
    let flags = ["--target-version", target, "--downgrade", "--data-dir"];
    let args = ["restore".as_ref(), file.as_os_str()].into_iter().chain(flags.map(AsRef::as_ref));
    etcdsnap(args.chain([ours.as_os_str()])).expect(0);
    let version = |data_dir: &Path| {
        let args = ["status".as_ref(), "-w".as_ref(), "json".as_ref()];
        let db = db_of(data_dir);
        let status = etcdsnap(args.into_iter().chain([db.as_os_str()])).expect(0).json();
        let keys = run(tools.command("bbolt").arg("keys").arg(&db).arg("meta")).expect(0).text();
        (status["version"].clone(), keys)
    };
    assert_eq!(version(&ours), version(&theirs), "{} for {target}", file.display());
}

fn tools(line: &str) -> Option<Tools> {
    Tools::find(&[
        format!("etcd-{line}"),
        format!("etcdctl-{line}"),
        format!("etcdutl-{line}"),
        "bbolt".into(),
    ])
}

#[test]
fn restores_of_3_5_are_upstreams() {
    let Some(tools) = tools("3.5") else { return };
    // A snapshot of 3.4 is restored as 3.5 does it.
    for fixture in [&OF_3_4, &OF_3_5, &KUBERNETES_OF_3_5] {
        with_and_without_bump(&tools, "3.5", &fixture.path());
    }
}

#[test]
fn restores_of_3_6_are_upstreams() {
    let Some(tools) = tools("3.6") else { return };
    for fixture in [&OF_3_6, &KUBERNETES_OF_3_6] {
        with_and_without_bump(&tools, "3.6", &fixture.path());
    }
    for_a_newer_line(&tools, "3.6", &[&OF_3_4, &OF_3_5]);
    downgraded_as_upstream(&tools, "3.6", &OF_3_6.path(), "3.5");
}

#[test]
fn restores_of_3_7_are_upstreams() {
    let Some(tools) = tools("3.7") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = super::live::small_snapshot(&tools, "3.7", folder.path());
    with_and_without_bump(&tools, "3.7", &file);
    for_a_newer_line(&tools, "3.7", &[&OF_3_4, &OF_3_5, &OF_3_6]);
    for target in ["3.6", "3.5"] {
        downgraded_as_upstream(&tools, "3.7", &file, target);
    }
}
