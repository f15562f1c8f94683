//! The pages of a file: as bbolt sees them, and where bbolt gives up.
//!
//! The file that is damaged is that of `tests/damage/main.rs`, with 1 KiB pages:
//!
//! ```text
//! root 18 ─▶ key ─▶ branch 16 ─▶ branch 13 ─▶ leaves 2 to 5
//!        │                  ├──▶ branch 14 ─▶ leaves 6 to 9
//!        └─▶ inline buckets └──▶ branch 15 ─▶ leaves 10 to 12       17 is free, 18 goes on in 19
//! ```

mod harness;
mod support;

use std::collections::BTreeSet;
use std::fs;

use etcdsnap::bolt::{PageId, Parent, Referrer, Use};
use etcdsnap::ops::pages::{Survey, survey};
use etcdsnap::ops::{Progress, Settings};
use harness::{Answer, ask, fixture, recorded};
use support::store::Store;
use support::{ask::source, leaf_image};

const SNAPSHOTS: [&str; 6] = [
    "etcd-3.4",
    "etcd-3.5",
    "etcd-3.6",
    "k8s-1.35-etcd-3.5-encrypted",
    "k8s-1.35-etcd-3.6",
    "k8s-1.35-objects",
];

fn sample() -> Vec<u8> {
    Store::sample(60).build().file
}

/// The bytes of page `id` from `offset` on become these.
fn poke(file: &mut [u8], id: usize, offset: usize, bytes: &[u8]) {
    let at = id * 1024 + offset;
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn with<T>(file: &[u8], look: impl FnOnce(&Survey<'_>) -> T) -> T {
    support::ask::census(file);
    let source = source(file);
    let progress = Progress::default();
    look(&survey(&source, &Settings::new(&progress)).expect("pages"))
}

/// Asks the program about a file that is made up.
fn told(file: &[u8], command: &str, words: &[&str]) -> Answer {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f.db");
    fs::write(&path, file).expect("written");
    let mut all = vec![command, path.to_str().expect("UTF-8")];
    all.extend(words);
    ask(&all)
}

#[test]
fn every_page_is_what_bbolt_takes_it_for() {
    for name in SNAPSHOTS {
        let listed = recorded(&format!("reference/pages/{name}.txt"));
        let rows = listed.lines().skip(2).map(|row| row.split_whitespace().collect::<Vec<_>>());
        let expected: Vec<Vec<String>> = rows
            .filter(|row| !row.is_empty())
            // bbolt shows what a free page once had.
            .map(|row| if row[1] == "free" { vec![row[0], row[1]] } else { row })
            .map(|row| row.into_iter().map(str::to_owned).collect())
            .collect();
        let answer = ask(&["pages", &fixture(name), "-o", "jsonl"]).exits(0);
        let found: Vec<Vec<String>> = answer
            .text()
            .lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
                let kind = row["kind"].as_str().expect("a kind").to_owned();
                let mut cells = vec![row["id"].to_string(), kind.clone()];
                if kind != "free" {
                    cells.push(row["elements"].as_u64().unwrap_or(0).to_string());
                    cells.extend(Some(row["overflow"].to_string()).filter(|pages| pages != "0"));
                }
                cells
            })
            .collect();
        assert!(found.len() > 20, "{name}");
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn trees_have_the_pages_and_bytes_that_bbolt_counts() {
    for name in SNAPSHOTS {
        let stats = recorded(&format!("reference/pages/{name}.stats.txt"));
        let number = |title: &str| -> u64 {
            let line = stats.lines().find(|line| line.contains(title)).expect(title);
            let digits = line.rsplit(": ").next().and_then(|text| text.split(' ').next());
            digits.and_then(|digits| digits.parse().ok()).expect(title)
        };
        let file = fs::read(fixture(name)).expect("a fixture");
        with(&file, |survey| {
            // bbolt counts the buckets, and not the tree of the root.
            let (mut branches, mut leaves, mut overflow, mut keys) = (0, 0, 0, 0);
            let (mut branch_used, mut leaf_used, mut inline_used) = (0, 0, 0);
            for tree in survey.census.trees().iter().skip(1) {
                keys += tree.total().keys;
                for level in &tree.levels {
                    branches += level.branches;
                    leaves += level.leaves;
                    overflow += level.overflow;
                    match (tree.is_inline(), level.branches) {
                        (true, _) => inline_used += level.used,
                        (false, 0) => leaf_used += level.used,
                        (false, _) => branch_used += level.used,
                    }
                }
            }
            assert_eq!(branches, number("logical branch pages"), "{name}");
            assert_eq!(leaves, number("logical leaf pages"), "{name}");
            let all = number("physical branch overflow") + number("physical leaf overflow");
            assert_eq!(overflow, all, "{name}");
            assert_eq!(keys, number("keys/value pairs"), "{name}");
            assert_eq!(branch_used, number("used for branch data"), "{name}");
            assert_eq!(leaf_used, number("used for leaf data"), "{name}");
            assert_eq!(inline_used, number("used for inlined buckets"), "{name}");
        });
    }
}

#[test]
fn a_page_knows_its_parent_and_the_keys_it_may_hold() {
    with(&sample(), |survey| {
        let run = |id| survey.census.run_of(PageId(id)).expect("a page");
        assert_eq!(run(7).parent, Some(Parent::Element { page: PageId(14), element: 1 }));
        assert_eq!((run(7).depth, run(14).depth, run(16).depth), (2, 1, 0));
        let first = |id| survey.census.view(&run(id)).first_and_last().expect("keys").0;
        assert_eq!(survey.census.bounds(&run(7)), (Some(first(7)), Some(first(8))));
        // The last leaf of a branch ends where the next branch begins.
        assert_eq!(survey.census.bounds(&run(9)), (Some(first(9)), Some(first(10))));
        assert_eq!(survey.census.bounds(&run(12)).1, None);
        assert_eq!((run(17).kind, run(18).pages, run(19).first), (Use::Free, 2, PageId(18)));
    });
}

#[test]
fn a_flipped_page_number_costs_its_page_and_is_told() {
    let mut file = sample();
    poke(&mut file, 7, 0, &[0x47]);
    with(&file, |survey| {
        let run = survey.census.run_of(PageId(7)).expect("a page");
        assert_eq!((run.kind, run.faulty), (Use::Bad, true));
        assert_eq!(run.parent, Some(Parent::Element { page: PageId(14), element: 1 }));
        let damaged: Vec<u64> =
            survey.census.runs().filter(|run| run.faulty).map(|run| run.first.0).collect();
        assert_eq!(damaged, [7]);
    });
    let answer = told(&file, "page", &["7"]).exits(1);
    assert!(answer.text().contains("page-id: expected page number 7 in the header, found page number 71"));
    assert!(answer.text().contains("page 14 element 1"));
    told(&file, "page", &["6", "0", "@8192"]).exits(0);
    told(&file, "pages", &[]).exits(1).says("page-id 1");
    told(&file, "pages", &["--kind", "meta,free"]).exits(0);
    told(&file, "pages", &["--map"]).exits(1).says("MMLLLLL!LLL");
    told(&file, "tree", &["key"]).exits(1);
    told(&file, "tree", &["meta"]).exits(0);
}

#[test]
fn a_cycle_ends_and_shows_both_who_point_there() {
    let mut file = sample();
    poke(&mut file, 14, 16 + 16 + 8, &16u64.to_le_bytes());
    with(&file, |survey| {
        let root = survey.census.run_of(PageId(16)).expect("a page");
        assert_eq!((root.kind, root.shared, root.depth), (Use::Branch, true, 0));
        let referrers = &survey.census.referrers(&BTreeSet::from([PageId(16)]))[&PageId(16)];
        assert_eq!(referrers.count, 2);
        assert!(matches!(referrers.first[0], Referrer::Bucket { page: PageId(18), .. }));
        let branch = Referrer::Branch { page: PageId(14), element: 1, in_use: true };
        assert_eq!(referrers.first[1], branch);
        assert_eq!(survey.census.run_of(PageId(7)).map(|run| run.kind), Some(Use::Free));
    });
    told(&file, "tree", &["key", "--depth", "9"]).exits(1);
}

#[test]
fn a_page_that_two_claim_belongs_to_the_first() {
    let mut file = sample();
    poke(&mut file, 14, 16 + 16 + 8, &6u64.to_le_bytes());
    with(&file, |survey| {
        let run = survey.census.run_of(PageId(6)).expect("a page");
        assert_eq!((run.kind, run.shared), (Use::Leaf, true));
        assert_eq!(run.parent, Some(Parent::Element { page: PageId(14), element: 0 }));
        assert_eq!(survey.census.referrers(&BTreeSet::from([PageId(6)]))[&PageId(6)].count, 2);
    });
    told(&file, "page", &["6"]).exits(1).says("shared");
}

#[test]
fn without_metas_the_pages_are_known_by_form() {
    let mut file = sample();
    for zeroed in [false, true] {
        for meta in [0, 1] {
            if zeroed {
                poke(&mut file, meta, 0, &[0; 1024]);
            } else {
                poke(&mut file, meta, 40, &[0xff; 8]);
            }
        }
        with(&file, |survey| {
            assert!(survey.no_meta.is_some());
            assert_eq!(survey.census.image().page_size().bytes(), 1024);
            let kinds = |kind| survey.census.runs().filter(|run| run.kind == kind).count();
            assert_eq!((kinds(Use::Branch), kinds(Use::Leaf)), (4, 13), "a stale leaf is one, too");
            assert_eq!(survey.census.run_of(PageId(19)).map(|run| run.first), Some(PageId(18)));
        });
        told(&file, "pages", &[]).exits(1).says("by their own headers");
        told(&file, "page", &["7"]).says("32/0");
        told(&file, "tree", &[]).refuses(1);
    }
    told(b"no database at all", "pages", &[]).refuses(1);
}

#[test]
fn more_faults_than_are_kept_do_not_hide_those_of_a_page() {
    let mut pages = support::Pages::new(1024);
    let children: Vec<(Vec<u8>, u64)> = (0..1500u64)
        .map(|number| {
            let key = number.to_be_bytes().to_vec();
            let mut image = leaf_image(&[support::entry(key.clone(), "v")]);
            // Beyond the page.
            image[16 + 12..16 + 16].copy_from_slice(&5000u32.to_le_bytes());
            (key, pages.place(image))
        })
        .collect();
    let last = children[1499].1;
    let root = pages.place(support::branch_image(&children));
    let entries = [support::bucket("key", support::tree_bucket(root))];
    let top = pages.place(leaf_image(&entries));
    let file = pages.finish(top, support::NO_FREELIST, 9);
    with(&file, |survey| {
        let run = survey.census.run_of(PageId(last)).expect("a page");
        let faults = survey.census.faults_of(&run);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].kind.code(), "element-outside-page");
        assert_eq!(survey.census.faults().len(), 1500);
    });
}

#[test]
fn a_list_of_free_pages_is_read_and_compared() {
    let mut pages = support::Pages::new(1024);
    let stale = pages.stale();
    let leaked = pages.stale();
    let leaf = pages.place(leaf_image(&[]));
    let list = pages.freelist(&[stale, leaf], true);
    let file = pages.finish(leaf, list, 9);
    with(&file, |survey| {
        let run = |id| survey.census.run_of(PageId(id)).expect("a page");
        assert_eq!((run(stale).kind, run(stale).listed, run(stale).faulty), (Use::Free, true, false));
        assert_eq!((run(leaked).kind, run(leaked).faulty), (Use::Leaked, true));
        assert_eq!((run(leaf).kind, run(leaf).listed, run(leaf).faulty), (Use::Leaf, true, true));
        assert_eq!((run(list).kind, run(list).faulty), (Use::Freelist, false));
    });
    told(&file, "page", &[&list.to_string()]).exits(0).says("2 pages");
    told(&file, "page", &[&leaked.to_string()]).exits(1).says("leaked");
}

#[test]
fn words_that_name_no_page_are_refused() {
    let file = sample();
    told(&file, "page", &["x"]).refuses(2);
    told(&file, "page", &["20"]).refuses(1);
    told(&file, "page", &["@20480"]).refuses(1).says("behind the pages");
    told(&file, "pages", &["--bucket", "none"]).refuses(1).says("there are (root)");
    let answer = told(&file, "page", &["0x13", "-o", "json"]).exits(0).json();
    assert_eq!((&answer["pages"][0]["asked"], &answer["pages"][0]["id"]), (&19.into(), &18.into()));
    let answer = told(&file, "pages", &["-o", "json"]).exits(0).json();
    assert_eq!(answer["summary"]["freePages"], 1);
    assert_eq!(answer["pages"].as_array().map(Vec::len), Some(19));
}
