//! Names of trees, keys and kinds as the commands about pages show them.

use etcdsnap::bolt::{Parent, Run, Use};
use etcdsnap::etcd::entry::Within;
use etcdsnap::etcd::revision::RevisionKey;
use etcdsnap::ops::pages::{Key, Survey, key};

use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, hex, safe};

/// The tree of the root, which is no bucket.
pub(crate) const ROOT: &str = "(root)";

/// The name of a tree: of a bucket in a bucket with what it is in.
pub(crate) fn tree_name(survey: &Survey<'_>, index: usize) -> String {
    let trees = survey.census.trees();
    let name = |index: usize| trees.get(index).map_or_else(String::new, |tree| excerpt(tree.name));
    match trees.get(index) {
        None => String::new(),
        Some(tree) => match tree.nesting {
            0 => ROOT.to_owned(),
            1 => excerpt(tree.name),
            2 => format!("{}/{}", name(tree.top), excerpt(tree.name)),
            _ => format!("{}/.../{}", name(tree.top), excerpt(tree.name)),
        },
    }
}

/// The bucket of a run; `None` of a page that is in none.
pub(crate) fn bucket(survey: &Survey<'_>, run: &Run) -> Option<String> {
    run.tree.map(|tree| tree_name(survey, tree))
}

/// The beginning of bytes, as text.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LENGTH: usize = 64;
    match bytes.get(..LENGTH) {
        Some(head) if bytes.len() > LENGTH => format!("{}...", safe(head)),
        _ => safe(bytes),
    }
}

/// A revision as `main/sub`, of a deletion with a `t` behind.
pub(crate) fn revision(key: &RevisionKey) -> String {
    let mark = if key.tombstone { "t" } else { "" };
    format!("{}/{}{mark}", key.revision.main, key.revision.sub)
}

/// A key for people: cut if it is long.
pub(crate) fn key_text(within: Within<'_>, bytes: &[u8]) -> String {
    match key(within, bytes) {
        Key::Revision(key) => revision(&key),
        Key::Bytes(bytes) if is_text(bytes) => excerpt(bytes),
        Key::Bytes(bytes) => {
            let (head, dots) =
                bytes.get(..32).filter(|_| bytes.len() > 32).map_or((bytes, ""), |head| (head, "..."));
            format!("0x{}{dots}", hex(head))
        }
    }
}

/// A key for programs: whole.
pub(crate) fn key_whole(within: Within<'_>, bytes: &[u8]) -> String {
    match key(within, bytes) {
        Key::Revision(key) => revision(&key),
        Key::Bytes(bytes) => safe(bytes),
    }
}

/// Whether bytes can be read by people.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// What leads to a run: `PAGE[ELEMENT]`.
pub(crate) fn parent(run: &Run) -> String {
    match run.parent {
        None => "-".to_owned(),
        Some(Parent::Meta) => "meta".to_owned(),
        Some(Parent::Element { page, element }) => format!("{page}[{element}]"),
    }
}

/// Whether a run is as it should be.
pub(crate) fn state(run: &Run) -> &'static str {
    match (run.shared, run.faulty, run.kind) {
        (true, _, _) => "shared",
        (false, true, _) => "damaged",
        (false, false, Use::Unknown) => "unknown",
        (false, false, _) => "ok",
    }
}

/// Part of a whole in percent.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    match part.saturating_mul(100).checked_div(whole) {
        Some(percent) => format!("{percent}%"),
        None => "-".to_owned(),
    }
}

/// Says on stderr what is wrong with the file as a whole.
pub(crate) fn warn(context: &mut Context<'_>, survey: &Survey<'_>) -> Result<(), Failure> {
    let faults = survey.faults();
    if faults.is_empty() {
        return Ok(());
    }
    context.out.flush()?;
    if let Some(error) = &survey.no_meta {
        context.say(format_args!(
            "warning: {error}; the pages are shown by their own headers, and which of them are in use is not known"
        ));
    }
    let missing = survey.census.missing_pages();
    if missing > 0 {
        context
            .say(format_args!("warning: the file ends before its last {}", count(missing, "page", "pages")));
    }
    let total: u64 = faults.values().sum();
    let kinds: Vec<String> =
        faults.iter().map(|(code, number)| format!("{code} {}", grouped(*number))).collect();
    context.say(format_args!(
        "warning: {}: {}; `etcdsnap verify` says what they mean",
        count(total, "fault", "faults"),
        kinds.join(", ")
    ));
    Ok(())
}
