//! The account as JSON.

use std::path::Path;

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::salvage::Saved as SavedFile;
use etcdsnap::ops::salvage::{Base, Named, Report, WhyLost};
use serde::Serialize;

use super::Names;
use crate::cli::commands::SCHEMA_VERSION;
use crate::cli::output::text::{hex, safe, shown};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: u32,
    source: String,
    out: String,
    written: bool,
    /// Nothing was lost and nothing is doubtful.
    complete: bool,
    /// The latest value of some key may be missing or wrong.
    latest_affected: bool,
    /// Where the tree that was followed begins: a meta, a page or nothing.
    base: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_number: Option<u64>,
    saved: Saved,
    revision: i64,
    compact_revision: Compact,
    lost_spans: Vec<Span>,
    lost_revisions: Listed<Revisions>,
    lost: Listed<Lost>,
    doubtful: Listed<Doubtful>,
    /// Alive, and last written before what is lost: it may have changed or deleted them.
    perhaps_outdated: Outdated,
    undecodable: Listed<Broken>,
    /// Of the file that was read: `matches`, `differs`, `absent`; none if no meta tells
    /// where it would stand.
    digest: Option<&'static str>,
    /// Entries of small buckets that etcd or `verify` object to, and that are not in the new
    /// database.
    broken_entries: Listed<Entry>,
    buckets: Vec<Bucket>,
    leases_made: u64,
    auth_disabled: bool,
    left_out: Listed<String>,
    db_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Whether nothing in what was written is suspicious.
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<bool>,
    /// The findings if it is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objections: Vec<Objection>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Saved {
    records: u64,
    live_keys: u64,
    /// Not by way of the tree.
    outside_tree: u64,
    /// Found, but superseded below the new compact revision.
    history_dropped: u64,
    /// Found, and known to have been compacted away.
    proven_gone: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compact {
    before: i64,
    known: bool,
    after: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    first: Option<i64>,
    end: Option<i64>,
    found: u64,
    complete: bool,
}

/// The first ten thousand.
#[derive(Serialize)]
struct Listed<T> {
    count: u64,
    items: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Revisions {
    first: i64,
    last: i64,
    part: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    revision: i64,
    sub_revision: i64,
    offset: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lost {
    #[serde(flatten)]
    key: Key,
    what: &'static str,
    latest: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<(i64, i64)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Doubtful {
    #[serde(flatten)]
    key: Key,
    why: &'static str,
    latest: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outdated {
    /// None also where it is not known which was the last.
    last_lost_revision: Option<i64>,
    #[serde(flatten)]
    keys: Listed<Key>,
}

/// A value that is no object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Broken {
    #[serde(flatten)]
    key: Key,
    why: String,
    latest: bool,
}

#[derive(Serialize)]
struct Entry {
    bucket: String,
    key: String,
    why: String,
    /// Whether another entry has its place.
    replaced: bool,
}

/// What `verify` says of the result.
#[derive(Serialize)]
struct Objection {
    code: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct Bucket {
    name: String,
    state: &'static str,
    entries: u64,
}

impl Document {
    pub(super) fn of(
        report: &Report,
        names: &Names,
        source: &Path,
        out: &Path,
        written: Option<&SavedFile>,
    ) -> Self {
        let key = |named: &Named| Key {
            key: safe(&named.key.bytes),
            object: names.object(&named.key.bytes),
            revision: named.revision.main,
            sub_revision: named.revision.sub,
            offset: named.offset.0,
        };
        let (base, base_number) = match report.base {
            Base::Meta(number) => ("meta", u64::try_from(number).ok()),
            Base::OlderMeta(number) => ("older-meta", u64::try_from(number).ok()),
            Base::Page(page) => ("page", Some(page.0)),
            Base::Newer(page) => ("newer-page", Some(page.0)),
            Base::None => ("none", None),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            source: shown(source),
            out: shown(out),
            written: written.is_some(),
            complete: report.is_complete(),
            latest_affected: report.latest_affected(),
            base,
            base_number,
            saved: Saved {
                records: report.records,
                live_keys: report.live_keys,
                outside_tree: report.outside,
                history_dropped: report.dropped,
                proven_gone: report.proven_gone,
            },
            revision: report.revision,
            compact_revision: Compact {
                before: report.compact_before,
                known: report.compact_known,
                after: report.compact_after,
            },
            lost_spans: report
                .spans
                .iter()
                .map(|span| Span {
                    first: span.first.map(|revision| revision.main),
                    end: span.end.map(|revision| revision.main),
                    found: span.found,
                    complete: span.complete,
                })
                .collect(),
            lost_revisions: Listed {
                count: report.gaps.count,
                items: report
                    .gaps
                    .first
                    .iter()
                    .map(|gap| Revisions { first: gap.first, last: gap.last, part: gap.part })
                    .collect(),
            },
            lost: Listed {
                count: report.lost.count,
                items: report
                    .lost
                    .first
                    .iter()
                    .map(|lost| Lost {
                        key: key(&lost.named),
                        what: lost.why.code(),
                        latest: lost.why.is_latest(),
                        versions: match lost.why {
                            WhyLost::Versions { first, last } => Some((first, last)),
                            _ => None,
                        },
                    })
                    .collect(),
            },
            doubtful: Listed {
                count: report.doubtful.count,
                items: report
                    .doubtful
                    .first
                    .iter()
                    .map(|doubtful| Doubtful {
                        key: key(&doubtful.named),
                        why: doubtful.doubt.code(),
                        latest: doubtful.latest,
                    })
                    .collect(),
            },
            perhaps_outdated: Outdated {
                last_lost_revision: report.outdated.last_lost,
                keys: Listed {
                    count: report.outdated.keys.count,
                    items: report.outdated.keys.first.iter().map(key).collect(),
                },
            },
            undecodable: Listed {
                count: report.undecodable.count,
                items: report
                    .undecodable
                    .first
                    .iter()
                    .map(|broken| Broken {
                        key: key(&broken.named),
                        why: safe(broken.why.as_bytes()),
                        latest: broken.latest,
                    })
                    .collect(),
            },
            digest: report.digest.map(|verdict| match verdict {
                DigestVerdict::Matches => "matches",
                DigestVerdict::Differs { .. } => "differs",
                DigestVerdict::Absent => "absent",
            }),
            broken_entries: Listed {
                count: report.broken_entries.count,
                items: report
                    .broken_entries
                    .first
                    .iter()
                    .map(|entry| Entry {
                        bucket: safe(&entry.bucket),
                        key: safe(&entry.key.bytes),
                        why: safe(entry.why.as_bytes()),
                        replaced: entry.replaced,
                    })
                    .collect(),
            },
            buckets: report
                .buckets
                .iter()
                .map(|bucket| Bucket {
                    name: safe(&bucket.name),
                    state: bucket.state.code(),
                    entries: bucket.entries,
                })
                .collect(),
            leases_made: report.leases_made,
            auth_disabled: report.auth_disabled,
            left_out: Listed {
                count: report.foreign.count,
                items: report.foreign.first.iter().map(|key| safe(&key.bytes)).collect(),
            },
            db_size: report.size,
            size: written.map(|saved| saved.written.size),
            sha256: written.map(|saved| hex(&saved.written.sha256)),
            sound: written.map(|saved| saved.is_sound),
            objections: written
                .iter()
                .flat_map(|saved| &saved.objections)
                .map(|(code, count)| Objection { code, count: *count })
                .collect(),
        }
    }
}
