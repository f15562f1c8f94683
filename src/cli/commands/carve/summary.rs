//! What the search came to, for stderr.

use std::collections::BTreeMap;
use std::path::Path;

use etcdsnap::etcd::remnant::{Remnant, Sure};
use etcdsnap::ops::carve::{Carved, Found, Kind, Label, Relation};

use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{count, safe, shown};

/// Types that are named, without -v.
const NAMED: usize = 8;

/// Counts of what was found and shown.
#[derive(Debug, Default)]
pub(super) struct Summary {
    relations: BTreeMap<Relation, u64>,
    types: BTreeMap<String, u64>,
    /// Values of Secrets.
    secrets: u64,
    tombstones: u64,
    fragments: u64,
    left_out: u64,
    unreadable: BTreeMap<String, u64>,
}

fn add(count: &mut u64) {
    *count = count.saturating_add(1);
}

impl Summary {
    pub(super) fn count(&mut self, found: &Found, remnant: &Remnant<'_>, label: &Label) {
        add(self.relations.entry(found.relation).or_default());
        let name = if label.kind == Kind::Object {
            label.type_name.clone()
        } else {
            format!("({})", label.type_name)
        };
        add(self.types.entry(name).or_default());
        let tombstone = matches!(remnant, Remnant::Record { tombstone: true, .. });
        if tombstone {
            add(&mut self.tombstones);
        } else if label.is_secret() {
            add(&mut self.secrets);
        }
        if found.spot.sure == Sure::Fragment {
            add(&mut self.fragments);
        }
    }

    pub(super) fn left_out(&mut self) {
        add(&mut self.left_out);
    }

    pub(super) fn unreadable(&mut self, why: &str) {
        // Numbers differ from one to the next.
        let reason = if why.contains("missing at its end") { "cut" } else { why };
        add(self.unreadable.entry(reason.to_owned()).or_default());
    }

    pub(super) fn merge(&mut self, more: Self) {
        fn all<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
            for (key, count) in from {
                let sum = to.entry(key).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        all(&mut self.relations, more.relations);
        all(&mut self.types, more.types);
        all(&mut self.unreadable, more.unreadable);
        self.secrets = self.secrets.saturating_add(more.secrets);
        self.tombstones = self.tombstones.saturating_add(more.tombstones);
        self.fragments = self.fragments.saturating_add(more.fragments);
        self.left_out = self.left_out.saturating_add(more.left_out);
    }

    pub(super) fn lines(
        &self,
        carved: &Carved<'_>,
        directory: Option<&Path>,
        narrowed: bool,
        verbose: bool,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(error) = &carved.unusable {
            lines.push(format!(
                "warning: {error}: the whole file was searched by form, so what is alive is shown, too"
            ));
        }
        if let Some(tree) = carved.tree.as_ref().filter(|tree| !tree.faults.is_empty()) {
            lines.push(format!(
                "warning: the tree has {}: what it lost by them is shown, too, as unknown; `etcdsnap verify FILE` tells more",
                count(tree.faults.len(), "fault", "faults")
            ));
        }
        let total: u64 = self.relations.values().fold(0, |sum, count| sum.saturating_add(*count));
        if total == 0 {
            lines.push(if narrowed && !carved.found.is_empty() {
                format!(
                    "found nothing of that; {} in all without those words",
                    count(carved.found.len() as u64, "thing", "things")
                )
            } else {
                "found nothing that the tree does not reach".to_owned()
            });
        } else {
            let relations: Vec<String> = self
                .relations
                .iter()
                .map(|(relation, number)| format!("{} {}", grouped(*number), relation.name()))
                .collect();
            lines.push(format!(
                "found {} that the tree no longer reaches: {}",
                count(total, "record or entry", "records and entries"),
                relations.join(", ")
            ));
            lines.push(format!("  {}", self.type_names(verbose)));
        }
        self.remarks(carved, directory, verbose, &mut lines);
        if let Some((page, meta)) = carved.tree.as_ref().and_then(|tree| tree.older_meta) {
            lines.push(format!(
                "  the other meta (page {page}) is of transaction {}, with its root at page {}",
                meta.txid, meta.root
            ));
        }
        lines.push(searched(carved));
        if total > 0 && directory.is_none() {
            lines.push(
                "next: `-o yaml` shows objects, TYPE, NAME and -n choose some, --out-dir DIR writes all of it to files"
                    .to_owned(),
            );
        }
        lines
    }

    fn type_names(&self, verbose: bool) -> String {
        let mut types: Vec<(&String, &u64)> = self.types.iter().collect();
        types.sort_by_key(|(name, number)| (std::cmp::Reverse(**number), *name));
        let limit = if verbose { usize::MAX } else { NAMED };
        let name =
            |(name, number): &(&String, &u64)| format!("{} {}", grouped(**number), safe(name.as_bytes()));
        let mut names: Vec<String> = types.iter().take(limit).map(name).collect();
        let rest = types.len().saturating_sub(limit);
        if rest > 0 {
            names.push(format!("and {}", count(rest as u64, "other type", "other types")));
        }
        names.join(", ")
    }

    fn remarks(&self, carved: &Carved<'_>, directory: Option<&Path>, verbose: bool, lines: &mut Vec<String>) {
        if self.secrets > 0 {
            lines.push(format!(
                "note: {} among them: whoever has this file has these, though they were deleted or changed",
                count(self.secrets, "value of a Secret is", "values of Secrets are")
            ));
        }
        if self.fragments > 0 {
            lines.push(format!(
                "  {} only in part, or cannot be verified",
                count(self.fragments, "is there", "are there")
            ));
        }
        if let Some(directory) = directory {
            lines.push(format!(
                "  written to {}; _index.jsonl tells where each is from{}",
                shown(directory),
                match self.tombstones {
                    0 => String::new(),
                    number => format!(" ({} no value)", count(number, "deletion has", "deletions have")),
                }
            ));
        } else if self.left_out > 0 && !verbose {
            lines.push(format!(
                "  {} not shown here (deletions have no value, `meta` is shown with -v); -o jsonl has all",
                count(self.left_out, "is", "are")
            ));
        }
        for (reason, number) in &self.unreadable {
            lines.push(match reason.as_str() {
                "cut" => format!("  {} cut, and shown as bytes", count(*number, "value is", "values are")),
                reason => format!(
                    "  {} shown as bytes: {}",
                    count(*number, "value is", "values are"),
                    safe(reason.as_bytes())
                ),
            });
        }
        if carved.searched.foreign > 0 && verbose {
            lines.push(format!(
                "  {} of no form that etcd writes",
                count(carved.searched.foreign, "element is", "elements are")
            ));
        }
    }
}

fn searched(carved: &Carved<'_>) -> String {
    let searched = &carved.searched;
    let bytes = searched.bytes();
    let mut parts = Vec::new();
    for (number, what) in [
        (searched.free, "of free pages"),
        (searched.refused, "of pages and elements in use that cannot be read"),
        (searched.slack, "inside pages in use"),
        (searched.beyond, "behind the last page"),
    ] {
        if number > 0 {
            parts.push(format!("{} {what}", humanized(number)));
        }
    }
    if bytes == 0 {
        return "searched: there is nothing beside the tree".to_owned();
    }
    let parts = parts.join(", ");
    if searched.unexplained == 0 {
        return format!("searched {parts}: all of it is empty or understood");
    }
    let explained = bytes.saturating_sub(searched.unexplained);
    // Rounded down: only all is all.
    let percent = u128::from(explained) * 100 / u128::from(bytes);
    format!(
        "searched {parts}: {percent} % is empty or understood, {} are not (tails of values whose beginnings are gone)",
        humanized(searched.unexplained)
    )
}
