//! What is lost whole, which no `--skip-damaged` can pass over.

use super::*;

/// Asks what a damaged file answers when damage is to be skipped: nothing, if
/// what the answer is made of is gone, told with its one cause.
fn nothing_left(file: &[u8], lost: &Lost, questions: &[&str]) {
    let snapshot = Snapshot::from_source(ask::source(file)).expect("it opens");
    let db = snapshot.db().expect("it opens");
    let progress = Progress::default();
    let settings = Settings { skip_damaged: true, ..Settings::new(&progress) };
    let answers = [
        ("status", status::status(&snapshot, &Default::default(), &settings).err()),
        ("figures", status::figures(&snapshot, &settings).err()),
        ("hashkv", hashkv::hashkv(&snapshot, None, &settings).err()),
        ("members", member_list::members(&snapshot, &settings).err()),
        ("keys", keys::keys(&db, Vec::new(), None, &settings).err()),
        ("key", lookup::key(&db, b"k03", None, &settings).err()),
        ("list", list::list(&db, &list::Selection::default(), &settings).err()),
    ];
    for (question, error) in answers {
        match error {
            Some(OpError::NothingLeft { lost: found, damage }) => {
                assert_eq!((&found, damage.len()), (lost, 1), "{question}: {damage}");
                assert!(questions.contains(&question), "{question}");
            }
            Some(error) => panic!("{question}: {error}"),
            None => assert!(!questions.contains(&question), "{question} was answered"),
        }
    }
}

#[test]
fn what_is_lost_whole_cannot_be_skipped() {
    let of_key = ["status", "figures", "hashkv", "keys", "key", "list"];
    let all = [&of_key[..], &["members"]].concat();
    let broken = |page: u64| {
        let mut built = sample().build();
        built.flags(page, 0x77);
        built.file
    };
    nothing_left(&broken(ROOT), &Lost::AllBuckets, &all);
    nothing_left(&broken(KEY_ROOT), &Lost::Bucket(b"key"), &of_key);
    // One record in the place of the root: no bucket is listed, and there is one fault.
    let mut store = Store { page_size: 4096, leaf_bytes: 4096, ..Store::sample(1) };
    store.value("meta", "scheduledCompactRev").clone_from(&revision(1, 0));
    store.value("meta", "finishedCompactRev").clone_from(&revision(1, 0));
    let mut built = store.build();
    let (leaf, root) = (built.at(built.leaves()[0], 16), built.at(built.root, 16));
    let leaf = built.file[leaf - 6..leaf + 4080].to_vec();
    built.set(root - 6, &leaf);
    support::reseal(&mut built.file);
    nothing_left(&built.file, &Lost::AllBuckets, &all);
    let affected = ask::verify(&built.file).affected.expect("affected");
    assert!(affected.nothing_left && affected.latest == Latest::Affected, "{affected:?}");
    let inline = |name: &str| {
        let mut built = sample().build();
        let at = built.bucket(name) + 16 + 8;
        built.set(at, &[0x77]);
        built.file
    };
    nothing_left(&inline("members"), &Lost::Bucket(b"members"), &["members"]);
    nothing_left(&inline("alarm"), &Lost::AllBuckets, &[]);
}

#[test]
fn what_depends_on_a_lost_compact_revision_is_refused_unless_damage_is_skipped() {
    let mut built = sample().build();
    let at = built.bucket("meta") + 16 + 8;
    built.set(at, &[0x77]);
    let snapshot = Snapshot::from_source(ask::source(&built.file)).expect("it opens");
    let db = snapshot.db().expect("it opens");
    let progress = Progress::default();
    for skip_damaged in [false, true] {
        let settings = Settings { skip_damaged, ..Settings::new(&progress) };
        let hash = hashkv::hashkv(&snapshot, None, &settings);
        let listing = keys::keys(&db, Vec::new(), None, &settings);
        assert_eq!((hash.is_ok(), listing.is_ok()), (skip_damaged, skip_damaged));
        assert!(hash.is_ok_and(|hash| hash.damage.len() == 1) || !skip_damaged);
    }
}

#[test]
fn what_a_bump_takes_out_of_sight_is_looked_at_before() {
    // The last child of the last branch, which a bump copies, is not counted any more.
    let mut built = sample().build();
    built.count(NEXT_BRANCH, 2);
    support::reseal(&mut built.file);
    assert!(ask::restore(&built.file, None).is_ok(), "it is suspicious, and stays in sight");
    let refused = ask::restore(&built.file, Some(1000)).expect_err("it would be gone for good");
    assert!(refused.to_string().contains("page 15"), "{refused}");
}
