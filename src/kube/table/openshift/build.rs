//! Builds and how they are configured.

use std::borrow::Cow;

use super::super::row::{Row, count, instant, set};
use super::super::{Context, Printer, column};
use crate::kube::unix_time::UnixTime;
use crate::kube::value::Value;

const SOURCE_READS: [&str; 3] = ["spec.source", "spec.revision.git.commit", "spec.strategy"];

pub(super) static BUILD: Printer = Printer {
    columns: &[
        column("Name"),
        column("Type"),
        column("From"),
        column("Status"),
        column("Started"),
        column("Duration"),
    ],
    print: build,
    reads: &[
        "metadata.name",
        SOURCE_READS[0],
        SOURCE_READS[1],
        SOURCE_READS[2],
        "status.phase",
        "status.reason",
        "status.startTimestamp",
        "status.duration",
    ],
    wide_reads: &[],
};

fn build<'v>(build: &'v Value<'v>, row: &mut Row<'v>) {
    let context = row.context;
    row.name(build);
    row.text(strategy(build));
    row.cell(|| source(build));
    row.cell(|| match (build.text(&["status", "phase"]), build.text(&["status", "reason"])) {
        (phase, "") => Cow::Borrowed(phase),
        (phase, reason) => Cow::Owned(format!("{phase} ({reason})")),
    });
    row.cell(|| match set(build, &["status", "startTimestamp"]) {
        None => String::new(),
        time => ago(instant(time), context),
    });
    row.cell(|| match count(build, &["status", "duration"]) {
        nanoseconds @ 1.. => go_duration(nanoseconds.unsigned_abs()),
        _ => String::new(),
    });
}

pub(super) static BUILD_CONFIG: Printer = Printer {
    columns: &[column("Name"), column("Type"), column("From"), column("Latest")],
    print: |config, row| {
        row.name(config);
        row.text(strategy(config));
        row.cell(|| match set(config, &["spec", "strategy", "customStrategy"]) {
            None => source(config),
            Some(custom) => custom.text(&["from", "name"]).to_owned(),
        });
        row.number(count(config, &["status", "lastVersion"]));
    },
    reads: &["metadata.name", SOURCE_READS[0], SOURCE_READS[1], SOURCE_READS[2], "status.lastVersion"],
    wide_reads: &[],
};

fn strategy(object: &Value<'_>) -> &'static str {
    let has = |field| set(object, &["spec", "strategy", field]).is_some();
    if has("dockerStrategy") || object.text(&["spec", "strategy", "type"]) == "Docker" {
        "Docker"
    } else if has("customStrategy") {
        "Custom"
    } else if has("sourceStrategy") {
        "Source"
    } else if has("jenkinsPipelineStrategy") {
        "JenkinsPipeline"
    } else {
        ""
    }
}

/// `Git@1a2b3c4`.
fn source(object: &Value<'_>) -> String {
    let has = |field| set(object, &["spec", "source", field]).is_some();
    let binary = has("binary") || object.text(&["spec", "source", "type"]) == "Binary";
    let kind = match (binary, has("dockerfile"), has("git")) {
        (true, _, _) => "Binary",
        (false, true, true) => "Dockerfile,Git",
        (false, true, false) => return "Dockerfile".to_owned(),
        (false, false, true) => "Git",
        (false, false, false) => return String::new(),
    };
    match git_revision(object) {
        "" => kind.to_owned(),
        revision => format!("{kind}@{revision}"),
    }
}

/// The commit or else the branch; seven characters of what seems to be a hash.
fn git_revision<'v>(object: &'v Value<'v>) -> &'v str {
    let revision = match object.text(&["spec", "revision", "git", "commit"]) {
        "" => object.text(&["spec", "source", "git", "ref"]),
        commit => commit,
    };
    let is_hash = revision.len() > 20 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { revision.get(..7).unwrap_or(revision) } else { revision }
}

/// `3 hours ago`.
pub(super) fn ago(time: Option<UnixTime>, context: &Context) -> String {
    match (time, context.now) {
        (Some(time), Some(now)) => format!("{} ago", relative(now.seconds().saturating_sub(time.seconds()))),
        _ => context.since(None).into_owned(),
    }
}

/// Source: docker go-units `duration.go`, `HumanDuration`.
fn relative(seconds: i64) -> String {
    let minutes = seconds.div_euclid(60);
    // Hours are rounded, from the second on in which they are whole halves.
    let hours = seconds.saturating_add(1800).div_euclid(3600);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 336 => format!("{} days", hours.div_euclid(24)),
        _ if hours < 1440 => format!("{} weeks", hours.div_euclid(168)),
        _ if hours < 17520 => format!("{} months", hours.div_euclid(720)),
        _ => format!("{} years", seconds.div_euclid(3600).div_euclid(8760)),
    }
}

/// As Go prints a `time.Duration`: `1h2m3.5s`, `350ms`.
pub(super) fn go_duration(nanoseconds: u64) -> String {
    let (seconds, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    // The value in a unit of so many digits, without zeros at the end.
    let decimal = |whole: u64, fraction: u64, digits: usize| {
        let text = format!("{whole}.{fraction:0digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match (seconds, nanoseconds) {
        (0, 0) => "0s".to_owned(),
        (0, ..1_000) => format!("{nanoseconds}ns"),
        (0, ..1_000_000) => format!("{}\u{b5}s", decimal(nanoseconds / 1_000, nanoseconds % 1_000, 3)),
        (0, _) => format!("{}ms", decimal(nanoseconds / 1_000_000, nanoseconds % 1_000_000, 6)),
        (..60, _) => format!("{}s", decimal(seconds, fraction, 9)),
        (..3600, _) => format!("{}m{}s", seconds / 60, decimal(seconds % 60, fraction, 9)),
        _ => format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, decimal(seconds % 60, fraction, 9)),
    }
}
