//! Images and streams of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::row::{instant, length};
use super::super::{Printer, column};
use super::build::ago;
use crate::kube::unix_time::UnixTime;
use crate::kube::value::Value;

pub(super) static IMAGE: Printer = Printer {
    columns: &[column("Name"), column("Image Reference")],
    print: |image, row| {
        row.name(image);
        row.text(image.text(&["dockerImageReference"]));
    },
    reads: &["metadata.name", "dockerImageReference"],
    wide_reads: &[],
};

/// The repository is as it is stored; servers put that of their own registry in.
pub(super) static IMAGE_STREAM: Printer = Printer {
    columns: &[column("Name"), column("Image Repository"), column("Tags"), column("Updated")],
    print: |stream, row| {
        let context = row.context;
        let repositories = [
            ["status", "publicDockerImageRepository"],
            ["spec", "dockerImageRepository"],
            ["status", "dockerImageRepository"],
        ];
        let repository = repositories.iter().map(|path| stream.text(path)).find(|text| !text.is_empty());
        // Of a tag that is there several times the last counts.
        let tags = stream.items(&["status", "tags"]).iter();
        let tags: BTreeMap<_, _> = tags.map(|tag| (tag.text(&["tag"]), newest(tag))).collect();
        row.name(stream);
        row.text(repository.unwrap_or_default());
        row.cell(|| tags_up_to_width(&tags));
        row.cell(|| match tags.values().flatten().copied().max() {
            None => String::new(),
            time => ago(time, context),
        });
    },
    reads: &[
        "metadata.name",
        "spec.dockerImageRepository",
        "status.dockerImageRepository",
        "status.publicDockerImageRepository",
        "status.tags.tag",
        "status.tags.items.created",
    ],
    wide_reads: &[],
};

/// When a tag was set last.
fn newest(tag: &Value<'_>) -> Option<UnixTime> {
    instant(tag.items(&["items"]).first()?.at(&["created"]))
}

/// Tags from the newest on, about forty characters of them.
fn tags_up_to_width(tags: &BTreeMap<&str, Option<UnixTime>>) -> String {
    const WIDTH: i64 = 40;
    const MARGIN: i64 = WIDTH / 4;
    let mut names: Vec<_> = tags.iter().map(|(name, newest)| (Reverse(*newest), *name)).collect();
    names.sort_unstable();
    let mut left = WIDTH;
    let mut shown = names.len();
    for (index, (_, name)) in names.iter().enumerate() {
        let width = length(name.len());
        left = left.saturating_sub(width).saturating_sub(1);
        // A little more than the width, if less would leave much of it empty.
        let fits = left >= 0 || (MARGIN < left.saturating_add(width) && MARGIN >= left.saturating_neg());
        if index == 0 && left < 0 {
            shown = 1;
            break;
        }
        if !fits {
            shown = index;
            break;
        }
    }
    let text: Vec<_> = names.iter().take(shown).map(|(_, name)| *name).collect();
    let text = text.join(",");
    match names.len().saturating_sub(shown) {
        0 => text,
        hidden => format!("{text} + {hidden} more..."),
    }
}
