use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::codec::protobuf::Writer;
use crate::kube::envelope::tests::wrapped;
use crate::kube::field_set::FieldSet;
use crate::kube::json::parse;
use proptest::prelude::*;
use serde_json::json;

fn everything() -> Options {
    Options { fields: FieldSet::all(), ..Options::default() }
}

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)
}

/// Objects that Go made, and its JSON of them. Each record is a name, the stored
/// value and the JSON, each behind its length in four bytes, little-endian.
struct Sample {
    name: String,
    stored: Vec<u8>,
    json: Vec<u8>,
}

/// The samples by release: `1.37`, `openshift-4.22`.
fn samples() -> Vec<(String, Vec<Sample>)> {
    let mut releases = Vec::new();
    for file in fs::read_dir(fixtures("kube")).expect("a directory") {
        let path = file.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let Some(release) = name.strip_prefix("sparse-") else { continue };
        let bytes = fs::read(&path).expect("a readable file");
        let mut rest = &bytes[..];
        let mut part = || {
            let (length, behind) = rest.split_first_chunk()?;
            let (part, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
            rest = behind;
            Some(part.to_vec())
        };
        let mut samples = Vec::new();
        while let Some(name) = part() {
            let name = String::from_utf8(name).expect("text");
            let (stored, json) = (part().expect("a stored value"), part().expect("JSON"));
            samples.push(Sample { name, stored, json });
        }
        releases.push((release.to_owned(), samples));
    }
    releases
}

/// The object as Go's types print it, without what servers add.
fn as_stored<'a>(stored: &'a [u8], options: &Options) -> Result<(Value<'a>, Notes), Undecodable> {
    let Ok(Envelope::Protobuf(unknown)) = Envelope::parse(stored) else { panic!("protobuf") };
    let mut notes = Notes::default();
    in_protobuf(&unknown, options, &mut notes).map(|value| (value, notes))
}

#[test]
fn sparse_objects_are_as_go_prints_them() {
    let newest = FieldTable::kubernetes().newest_minor();
    let mut total = 0;
    for (release, samples) in samples() {
        // `1.37`, `last-in-1.17-to-1.33`.
        let minor = release.rsplit_once("1.").map(|(_, minor)| minor.parse::<u16>().expect("a minor"));
        let is_newest = minor.map_or(release.starts_with("openshift-4"), |minor| minor == newest);
        let null_creation_timestamps = minor.map_or(!is_newest, |minor| minor < 34);
        let options = Options { null_creation_timestamps, ..everything() };
        let (mut wrong, mut exact) = (Vec::new(), 0);
        for sample in &samples {
            let expected = parse(&sample.json).expect("JSON");
            match as_stored(&sample.stored, &options) {
                Ok((_, notes)) if !notes.is_empty() => wrong.push(format!("{}: {notes}", sample.name)),
                Ok((value, _)) if value == expected => exact += 1,
                Ok((value, _)) if !is_newest && is_rule_of_another_release(&value, &expected) => {}
                Ok((value, _)) => wrong.push(format!("{}: {value:?}, not {expected:?}", sample.name)),
                Err(error) => wrong.push(format!("{}: {error}", sample.name)),
            }
        }
        assert!(wrong.is_empty(), "{release}: {} of {}:\n{}", wrong.len(), samples.len(), wrong.join("\n"));
        // Few fields were declared otherwise in another release.
        assert!(exact * 100 >= samples.len() * 95, "{release}: {exact} of {}", samples.len());
        total += samples.len();
    }
    assert!(total > 1000);
}

/// What may differ between the JSON of an older release and ours: by the rules of
/// the newest release a field is absent, or there and empty, where by those of
/// its own it was the other.
fn is_rule_of_another_release(ours: &Value<'_>, theirs: &Value<'_>) -> bool {
    fn is_empty(value: &Value<'_>) -> bool {
        match value {
            Value::Null | Value::Bool(false) | Value::Int(0) => true,
            Value::Str(text) => text.is_empty() || text == "0",
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.entries().iter().all(|(_, value)| is_empty(value)),
            _ => false,
        }
    }
    match (ours, theirs) {
        (Value::Map(ours), Value::Map(theirs)) => {
            let names = ours.entries().iter().chain(theirs.entries()).map(|(name, _)| name);
            names.into_iter().all(|name| match (ours.get(name), theirs.get(name)) {
                (Some(ours), Some(theirs)) => is_rule_of_another_release(ours, theirs),
                (Some(one), None) | (None, Some(one)) => is_empty(one),
                (None, None) => false,
            })
        }
        (Value::List(ours), Value::List(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(a, b)| is_rule_of_another_release(a, b))
        }
        _ => ours == theirs || (is_empty(ours) && is_empty(theirs)),
    }
}

/// The serializer's answers; see `tests/upstream/cbor`.
#[test]
fn cbor_is_as_the_serializer_reads_it() {
    let text = fs::read_to_string(fixtures("kube").join("cbor.txt")).expect("a fixture");
    let mut wrong = Vec::new();
    let (mut sound, mut refused) = (0, 0);
    for line in text.lines() {
        let (hexadecimal, answer) = line.split_once('\t').expect("two columns");
        let digits: Vec<_> =
            hexadecimal.bytes().map(|digit| char::from(digit).to_digit(16).expect("hex")).collect();
        let stored: Vec<_> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
        let found = Object::decode(&stored, &everything());
        match (&found, answer) {
            (Ok(object), _) if parse(answer.as_bytes()).is_ok_and(|answer| answer == object.value) => {
                sound += 1
            }
            (Err(_), "error") => refused += 1,
            (Err(error), _) => wrong.push(format!("{hexadecimal}: {error}, not {answer}")),
            (Ok(object), _) => wrong.push(format!("{hexadecimal}: {:?}, not {answer}", object.value)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), sound + refused + wrong.len(), wrong.join("\n"));
    assert!(sound > 500 && refused > 500, "{sound} sound, {refused} refused");
}

#[test]
fn every_reason_for_no_object_is_told() {
    let reason = |stored: &[u8]| Object::decode(stored, &everything()).expect_err("a reason").to_string();
    assert_eq!(reason(b""), "empty value");
    assert_eq!(reason(b"10.0.0.1"), "not a Kubernetes object");
    assert_eq!(reason(b"k8s:enc:kms:v2:vault:x"), "encrypted by kms v2, key vault");
    assert_eq!(reason(b"k8s\0"), "the wrapping message names no kind or no API version");
    assert_eq!(reason(&wrapped("example.com/v1", "Widget", b"")), "unknown kind Widget of example.com/v1");
    assert_eq!(
        reason(&wrapped("v1", "Pod", b"\x0a\x01\x08")),
        "metadata: truncated field at byte 0 of the message"
    );
    assert_eq!(reason(b"\xd9\xd9\xf7\xff"), "illegal first byte 0xff at byte 1");
    assert_eq!(reason(b"\xd9\xd9\xf7\x80"), "not an object, but a list or a plain value");
    let compressed = {
        let meta = Writer::new().bytes(1, b"v1").bytes(2, b"Pod").finish();
        let unknown = Writer::new().bytes(1, &meta).bytes(2, b"x").bytes(3, b"gzip").finish();
        [b"k8s\0", &unknown[..]].concat()
    };
    assert_eq!(reason(&compressed), "content type \"\", content encoding \"gzip\"");
    assert!(matches!(Object::decode(b"{\"a\":}", &everything()), Err(Undecodable::Json(_))));
}

#[test]
fn the_revision_is_put_where_servers_show_it() {
    let revised = |stored: &[u8]| {
        let mut object = Object::decode(stored, &everything()).expect("an object");
        object.set_resource_version(42);
        object.value.text(&["metadata", "resourceVersion"]).to_owned()
    };
    assert_eq!(revised(&wrapped("v1", "Pod", b"")), "42");
    assert_eq!(revised(b"{\"metadata\":{\"resourceVersion\":\"7\"}}"), "42");
    assert_eq!(revised(b"{\"metadata\":null}"), "42");
    assert_eq!(revised(b"{}"), "42");
}

#[test]
fn names_of_an_object() {
    let stored =
        br#"{"apiVersion":"v1","kind":"Widget","metadata":{"name":"w","namespace":"n"},"spec":{"a":1}}"#;
    let object = Object::decode(stored, &everything()).expect("an object");
    assert_eq!((object.api_version(), object.kind()), ("v1", "Widget"));
    assert_eq!((object.name(), object.namespace(), object.encoding), ("w", "n", Encoding::Json));
    let options = Options { fields: FieldSet::only(["spec"]), ..Options::default() };
    let object = Object::decode(stored, &options).expect("an object");
    assert_eq!(object.value, Value::from(json!({"apiVersion": "v1", "kind": "Widget", "spec": {"a": 1}})));
}

/// Compared with servers' answers in the tests of `kube`; here with part of the
/// fields.
#[test]
fn what_servers_add_is_added_to_what_is_wanted() {
    let value = |stored: &[u8], paths: &[&str]| {
        let options = Options { fields: FieldSet::only(paths.iter().copied()), ..Options::default() };
        let object = Object::decode(stored, &options).expect("an object");
        assert!(object.notes.is_empty());
        serde_json::from_slice::<serde_json::Value>(&{
            let mut text = Vec::new();
            json::write(&object.value, &mut text);
            text
        })
        .expect("JSON")
    };
    let label = Writer::new().bytes(1, b"job-name").bytes(2, b"once").finish();
    let template = Writer::new().bytes(1, &Writer::new().bytes(11, &label).finish()).finish();
    let spec = Writer::new().bytes(6, &template).finish();
    let job = wrapped("batch/v1", "Job", &Writer::new().bytes(2, &spec).finish());
    let labels = json!({"job-name": "once"});
    assert_eq!(value(&job, &["metadata.labels"])["metadata"], json!({"labels": labels}));
    assert_eq!(value(&job, &["metadata.labels"]).get("spec"), None);
    assert_eq!(value(&job, &["metadata.name"])["metadata"], json!({}));
    let own = Writer::new().bytes(11, &Writer::new().bytes(1, b"a").finish()).finish();
    let labelled = Writer::new().bytes(1, &own).bytes(2, &spec).finish();
    assert_eq!(
        value(&wrapped("batch/v1", "Job", &labelled), &["metadata"])["metadata"]["labels"],
        json!({"a": ""})
    );

    for kind in ["PersistentVolumeClaim", "PersistentVolume"] {
        let volume = wrapped("v1", kind, b"");
        assert_eq!(value(&volume, &["status"])["status"], json!({"phase": "Pending"}));
        assert_eq!(
            value(&volume, &["metadata.name"]),
            json!({"apiVersion": "v1", "kind": kind, "metadata": {}})
        );
    }
    let bound = br#"{"apiVersion":"v1","kind":"PersistentVolumeClaim","status":{"phase":"Bound"}}"#;
    assert_eq!(value(bound, &["status"])["status"]["phase"], "Bound");
    let fresh = br#"{"apiVersion":"v1","kind":"PersistentVolumeClaim"}"#;
    assert_eq!(value(fresh, &["status"])["status"]["phase"], "Pending");

    let spec = Writer::new().bytes(4, b"").finish();
    let set = wrapped("apps/v1", "StatefulSet", &Writer::new().bytes(2, &spec).finish());
    let claims = &value(&set, &["spec.volumeClaimTemplates"])["spec"]["volumeClaimTemplates"];
    assert_eq!(
        (&claims[0]["apiVersion"], &claims[0]["kind"]),
        (&json!("v1"), &json!("PersistentVolumeClaim"))
    );
}

#[test]
fn what_is_not_decoded_is_kept_raw() {
    let stored = wrapped("example.com/v1", "Widget", b"\x01");
    let expected =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "etcdsnap.raw": text::base64(&stored)});
    assert_eq!(raw(&stored), Value::from(expected));
    assert_eq!(raw(b"\xff"), Value::from(json!({"etcdsnap.raw": "/w=="})));
}

proptest! {
    #[test]
    fn any_value_is_decoded_or_refused(value: Vec<u8>, pick: prop::sample::Index) {
        let kinds = ["Pod", "Node", "List", "Secret", "Event"];
        let _ = Object::decode(&value, &everything());
        let _ = Object::decode(&wrapped("v1", kinds[pick.index(kinds.len())], &value), &everything());
        let _ = Object::decode(&[b"\xd9\xd9\xf7", &value[..]].concat(), &everything());
        let _ = raw(&value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn damaged_objects_are_decoded_or_refused(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut: prop::sample::Index,
    ) {
        for sample in samples().iter_mut().flat_map(|(_, samples)| samples).step_by(7) {
            for (place, byte) in &damage {
                let at = place.index(sample.stored.len());
                sample.stored[at] = *byte;
            }
            let _ = Object::decode(&sample.stored, &everything());
            sample.stored.truncate(cut.index(sample.stored.len()));
            let _ = Object::decode(&sample.stored, &everything());
        }
    }
}
