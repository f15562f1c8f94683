//! What is alive in a store, according to etcd and to etcdsnap.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::process::etcdsnap;

/// A key's value and all that etcd keeps with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) create_revision: i64,
    pub(crate) mod_revision: i64,
    pub(crate) version: i64,
    pub(crate) lease: i64,
    pub(crate) value: Vec<u8>,
}

/// All live keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) revision: i64,
    pub(crate) entries: BTreeMap<String, Entry>,
}

impl Store {
    /// From the answer to a range request.
    #[track_caller]
    pub(crate) fn of_range(answer: &Value) -> Self {
        let none = Vec::new();
        let entries = answer["kvs"].as_array().unwrap_or(&none).iter().map(|kv| {
            let entry = Entry {
                create_revision: integer(&kv["create_revision"]),
                mod_revision: integer(&kv["mod_revision"]),
                version: integer(&kv["version"]),
                lease: integer(&kv["lease"]),
                value: decoded(&kv["value"]),
            };
            (String::from_utf8(decoded(&kv["key"])).expect("a key that is text"), entry)
        });
        Self { revision: integer(&answer["header"]["revision"]), entries: entries.collect() }
    }

    /// From a file, by `keys` and `value`, at a revision, 0 being the newest.
    #[track_caller]
    pub(crate) fn of_file(path: &Path, revision: i64) -> Self {
        let file = path.to_str().expect("a path in UTF-8");
        let at = revision.to_string();
        let at: &[&str] = if revision == 0 { &[] } else { &["--rev", &at] };
        let keys = etcdsnap([&["keys", file, "-o", "jsonl"], at].concat()).expect(0).text();
        let entry = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let key = line["key"].as_str().expect("a key that is text").to_owned();
            let lease = line["lease"].as_str().unwrap_or("0");
            let value = etcdsnap([&["value", file, &key], at].concat()).expect(0).stdout;
            assert_eq!(integer(&line["valueSize"]), value.len() as i64, "{key}");
            let entry = Entry {
                create_revision: integer(&line["createRevision"]),
                mod_revision: integer(&line["modRevision"]),
                version: integer(&line["version"]),
                lease: i64::from_str_radix(lease, 16).expect("a lease id"),
                value,
            };
            (key, entry)
        };
        let revision = if revision == 0 { status(path)["revision"].as_i64() } else { Some(revision) };
        let entries = keys.lines().map(entry).collect();
        Self { revision: revision.expect("a revision"), entries }
    }

    /// Panics with the first difference, which is easier to read than all of both.
    #[track_caller]
    pub(crate) fn assert_holds(&self, expected: &Self) {
        let keys = |store: &Self| store.entries.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(self), keys(expected));
        for (key, entry) in &expected.entries {
            assert_eq!(&self.entries[key], entry, "{key}");
        }
    }
}

/// `status -o json` of a file.
#[track_caller]
pub(crate) fn status(path: &Path) -> Value {
    etcdsnap(["status".as_ref(), "-o".as_ref(), "json".as_ref(), path.as_os_str()]).expect(0).json()
}

/// `verify` calls a file sound, and has nothing to say but `expected`.
#[track_caller]
pub(crate) fn assert_sound(file: &Path, expected: &[&str]) {
    let report = verified(file);
    assert_eq!(codes(&report), expected, "{report:#}");
}

/// What `verify` says of a file in which nothing is worse than a note.
#[track_caller]
pub(crate) fn verified(file: &Path) -> Value {
    etcdsnap(["verify".as_ref(), "-o".as_ref(), "json".as_ref(), file.as_os_str()]).expect(0).json()
}

/// The codes of its findings.
pub(crate) fn codes(report: &Value) -> Vec<&str> {
    let findings = report["files"][0]["findings"].as_array().expect("findings");
    findings.iter().map(|kind| kind["code"].as_str().expect("a code")).collect()
}

/// HashKV of a file, at a revision, 0 being the newest, as eight hexadecimal digits.
#[track_caller]
pub(crate) fn hashkv(path: &Path, revision: i64) -> String {
    let mut args = vec!["hashkv".into(), "-o".into(), "json".into(), path.as_os_str().to_owned()];
    if revision != 0 {
        args.extend(["--rev".into(), revision.to_string().into()]);
    }
    let answer = etcdsnap(args).expect(0).json();
    answer["files"][0]["hash"].as_str().expect("a hash").to_owned()
}

/// A number in JSON: absent if it is 0, as a string from the HTTP gateway.
#[track_caller]
pub(crate) fn integer(value: &Value) -> i64 {
    match value {
        Value::Null => 0,
        Value::String(text) => text.parse().expect("a number"),
        value => value.as_i64().unwrap_or_else(|| panic!("{value} is no number")),
    }
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap_or_default()).expect("base64")
}
