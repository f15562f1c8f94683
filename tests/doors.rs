//! The doors for untrusted bytes, on stable: what is known to come to them, what
//! made the program fail or comes close to it (`fixtures/regressions/DOOR/`), and
//! snapshots changed page by page. The fuzz targets in `fuzz/` find new ones.

#[path = "../fuzz/doors/mod.rs"]
mod doors;
#[path = "../fuzz/mutate.rs"]
mod mutate;
#[path = "../fuzz/seeds.rs"]
mod seeds;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use etcdsnap::bolt::Db;
use etcdsnap::etcd::snap_file;
use etcdsnap::etcd::wal::Records;

/// No input is as long as to deserve this much time, even without optimisation.
const PATIENCE: Duration = Duration::from_secs(10);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn regressions(door: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("fixtures/regressions").join(door);
    let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(&path).expect("readable"))).collect();
    files.sort();
    files
}

fn knock(door: &str, bytes: &[u8], what: &dyn std::fmt::Debug) {
    // Seen only if it fails.
    println!("{door}: {what:?}");
    let start = Instant::now();
    doors::knock(door, bytes);
    assert!(start.elapsed() < PATIENCE, "{door} took {:?} for {what:?}", start.elapsed());
}

#[test]
fn nothing_that_failed_once_fails_again() {
    for (door, _) in doors::DOORS {
        // What is hard for one that takes a snapshot is hard for all of them.
        let of_all = if doors::SNAPSHOTS.contains(door) { regressions("db") } else { Vec::new() };
        for (path, bytes) in regressions(door).iter().chain(&of_all) {
            knock(door, bytes, path);
        }
        // And what no file need be kept for.
        for input in [&b""[..], b"\0", b"{", b"k8s\0", b"k8s:enc:", b"\xd9\xd9\xf7", &[0xff; 300]] {
            knock(door, input, &input);
        }
    }
}

#[test]
fn as_many_elements_as_a_page_can_have_may_all_claim_one_run() {
    const PAGES: usize = 1200;
    let mut page = [&[0; 8][..], &2u16.to_le_bytes(), &u16::MAX.to_le_bytes(), &[0; 4]].concat();
    for index in 0..u32::from(u16::MAX) {
        let behind = 16 * (u32::from(u16::MAX) - index);
        for word in [0, behind, 17, 100_000] {
            page.extend(word.to_le_bytes());
        }
    }
    page.extend(support::store::revision(2, 0));
    page.resize(PAGES * 1024, 0);
    let mut pages = support::Pages::new(1024);
    let run = pages.place(page);
    let names = [support::bucket("key", support::tree_bucket(run))];
    let names = pages.place(support::leaf_image(&names));
    let file = support::seal(pages.finish(names, support::NO_FREELIST, 2));
    for door in doors::SNAPSHOTS {
        knock(door, &file, &"65,535 elements of one run");
    }
}

#[test]
fn what_is_known_comes_through_every_door() {
    for (door, _) in doors::DOORS {
        let seeds = seeds::of(door);
        assert!(!seeds.is_empty(), "{door}");
        for (number, seed) in seeds.iter().enumerate() {
            knock(door, seed, &number);
        }
    }
}

#[test]
fn snapshots_changed_page_by_page_come_through() {
    let seeds = seeds::of("db");
    let mut opened = 0;
    for (number, seed) in (0..).zip(seeds.iter().cycle().take(150)) {
        let mut bytes = seed.clone();
        mutate::snapshot(&mut bytes, number);
        opened += usize::from(Db::open(&bytes).is_ok());
        for door in doors::SNAPSHOTS {
            knock(door, &bytes, &number);
        }
    }
    assert!(opened > 100, "most changes get further than the metas: {opened}");
}

#[test]
fn checksums_that_are_made_right_are_right() {
    for mut log in seeds::of("wal") {
        assert_eq!(mutate::seal_wal(&log), log, "a sound log stays as it is");
        let mut records = Records::new(&log);
        let last = records.by_ref().last().expect("records").expect("sound");
        let at = usize::try_from(last.offset.0).expect("small") + 15;
        log[at] ^= 1;
        assert!(Records::new(&log).any(|record| record.is_err()));
        assert!(Records::new(&mutate::seal_wal(&log)).all(|record| record.is_ok()));
    }
    for mut file in seeds::of("snap_file") {
        assert_eq!(mutate::seal_snap_file(&file), file, "a sound file stays as it is");
        let at = file.len() / 2;
        file[at] ^= 1;
        assert!(snap_file::parse(&file).is_err());
        assert!(snap_file::parse(&mutate::seal_snap_file(&file)).is_ok());
    }
}

#[test]
fn every_regression_has_a_door_and_every_door_a_fuzz_target() {
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(root().join(folder)).expect(folder);
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    let doors: BTreeSet<_> = doors::DOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(names("fixtures/regressions").is_subset(&doors), "a folder without a door");
    let targets: BTreeSet<_> = doors.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names("fuzz/fuzz_targets"), targets);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("a manifest");
    for name in doors {
        let target =
            fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{name}.rs"))).expect("a target");
        assert!(target.contains(&format!("door!(\"{name}\")")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
