use std::borrow::Cow;

use super::*;
use crate::codec::protobuf::{WireFaultKind, Writer};
use crate::kube::field_table::FieldTable;
use crate::kube::text;
use crate::kube::value::Map;
use proptest::prelude::*;
use serde_json::json;

fn kind(api_version: &str, kind: &str) -> MessageType {
    FieldTable::kubernetes().find(api_version.as_bytes(), kind.as_bytes()).expect("a kind")
}

fn everything() -> Options {
    Options { fields: FieldSet::all(), ..Options::default() }
}

fn decoded<'a>(of: MessageType, message: &'a [u8], options: &Options) -> (Result<Value<'a>, Fault>, Notes) {
    let mut notes = Notes::default();
    (decode(of, message, options, &mut notes), notes)
}

fn tree(of: MessageType, message: &[u8]) -> Value<'static> {
    let (value, notes) = decoded(of, message, &everything());
    assert!(notes.is_empty(), "{notes}");
    owned(&value.expect("sound"))
}

fn owned(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Bool(yes) => Value::Bool(*yes),
        Value::Int(number) => Value::Int(*number),
        Value::Float(number) => Value::Float(*number),
        Value::Str(text) => text.to_string().into(),
        Value::List(items) => Value::List(items.iter().map(owned).collect()),
        Value::Map(map) => {
            let entries =
                map.entries().iter().map(|(name, value)| (Cow::Owned(name.to_string()), owned(value)));
            Map::from_entries(entries.collect()).into()
        }
    }
}

fn string(number: u32, text: &str) -> Vec<u8> {
    Writer::new().bytes(number, text.as_bytes()).finish()
}

#[test]
fn parts_of_a_message_are_put_together_and_of_plain_values_the_last_counts() {
    let pod = kind("v1", "Pod");
    let message = Writer::new()
        .bytes(1, &[string(1, "first"), string(3, "shop")].concat())
        .bytes(2, &string(10, "node1"))
        .bytes(1, &[string(1, "second"), string(1, "third")].concat())
        .finish();
    let (value, notes) = decoded(pod, &message, &everything());
    let value = value.expect("sound");
    assert_eq!(value.get("metadata"), Some(&Value::from(json!({"name": "third", "namespace": "shop"}))));
    assert_eq!(value.text(&["spec", "nodeName"]), "node1");
    assert_eq!(notes, Notes { repeated_fields: 2, ..Notes::default() });
}

#[test]
fn of_a_key_that_is_there_twice_the_last_entry_counts() {
    let entry = |key: &str, value: &str| [string(1, key), string(2, value)].concat();
    let data = Writer::new()
        .bytes(2, &entry("a", "1"))
        .bytes(2, &entry("b", "2"))
        .bytes(2, &entry("a", "3"))
        .bytes(2, &string(1, "no value"))
        .bytes(2, &string(2, "no key"))
        .bytes(2, b"");
    assert_eq!(
        tree(kind("v1", "ConfigMap"), &data.finish()),
        Value::from(json!({"metadata": {}, "data": {"a": "3", "b": "2", "no value": "", "": ""}}))
    );
}

#[test]
fn lists_of_numbers_may_be_packed() {
    let context = |context: Writer| {
        let message = Writer::new().bytes(2, &Writer::new().bytes(14, &context.finish()).finish()).finish();
        let pod = tree(kind("v1", "Pod"), &message);
        pod.at(&["spec", "securityContext", "supplementalGroups"]).cloned()
    };
    let expected = Some(Value::from(json!([1, 300, -1])));
    assert_eq!(context(Writer::new().varint(4, 1).varint(4, 300).varint(4, u64::MAX)), expected);
    let packed = [&[1, 0xac, 2][..], &[0xff; 9], &[1]].concat();
    assert_eq!(context(Writer::new().bytes(4, &packed)), expected);
    assert_eq!(context(Writer::new().bytes(4, b"")), None);
}

#[test]
fn unknown_fields_are_named_by_their_place() {
    let container = Writer::new().bytes(1, b"c").bytes(900, b"new").finish();
    let spec = Writer::new().bytes(2, &container).bytes(2, &container).varint(901, 1).finish();
    let message = Writer::new().bytes(2, &spec).varint(17, 1).finish();
    let (value, notes) = decoded(kind("v1", "Pod"), &message, &everything());
    assert_eq!(value.expect("sound").items(&["spec", "containers"]).len(), 2);
    assert_eq!(notes.unknown_fields, 4);
    assert_eq!(notes.unknown_places, ["#17", "spec#901", "spec.containers[0]#900", "spec.containers[1]#900"]);
}

#[test]
fn faults_have_their_place() {
    let fault =
        |kind: MessageType, message: &[u8]| decoded(kind, message, &everything()).0.expect_err("a fault");
    let pod = kind("v1", "Pod");
    let container = Writer::new().bytes(1, b"c").varint(2, 7).finish();
    let message = Writer::new().bytes(2, &Writer::new().bytes(2, &container).finish()).finish();
    let found = fault(pod, &message);
    assert_eq!(found.place, "spec.containers[0].image");
    let wrong = WireFault { offset: 3, kind: WireFaultKind::FieldType(2) };
    assert_eq!(found.kind, FaultKind::Wire(wrong));
    assert_eq!(
        found.to_string(),
        "spec.containers[0].image: field 2 has the wrong wire type at byte 3 of the message"
    );
    assert_eq!(fault(pod, &[0x12, 9]).to_string(), "truncated field at byte 0 of the message");

    let time = |seconds: u64| {
        let time = Writer::new().varint(1, seconds).finish();
        Writer::new().bytes(1, &Writer::new().bytes(8, &time).finish()).finish()
    };
    assert_eq!(fault(pod, &time(u64::MAX / 2)).kind, FaultKind::Time(i64::MAX));
    assert_eq!(fault(pod, &time(u64::MAX / 2)).place, "metadata.creationTimestamp");
    assert_eq!(tree(pod, &time(0)).text(&["metadata", "creationTimestamp"]), "1970-01-01T00:00:00Z");

    let port = Writer::new().bytes(4, &Writer::new().varint(1, 2).finish()).finish();
    let service = Writer::new().bytes(2, &Writer::new().bytes(1, &port).finish()).finish();
    assert_eq!(fault(kind("v1", "Service"), &service).kind, FaultKind::IntOrString(2));

    let annotations = [string(1, "key"), vec![0x10, 1]].concat();
    let message = Writer::new().bytes(1, &Writer::new().bytes(12, &annotations).finish()).finish();
    assert_eq!(fault(pod, &message).place, "metadata.annotations[\"key\"]");
}

#[test]
fn text_that_is_not_utf_8_is_counted() {
    let message = Writer::new().bytes(1, &Writer::new().bytes(1, b"a\xe2\x82").finish()).finish();
    let (value, notes) = decoded(kind("v1", "Pod"), &message, &everything());
    assert_eq!(value.expect("sound").text(&["metadata", "name"]), "a\u{fffd}\u{fffd}");
    assert_eq!(notes, Notes { invalid_text: 1, ..Notes::default() });
}

/// A ControllerRevision, whose `data` is a RawExtension, with `raw` in it.
fn revision(raw: &[u8]) -> Vec<u8> {
    Writer::new().bytes(2, &Writer::new().bytes(1, raw).finish()).varint(3, 1).finish()
}

#[test]
fn embedded_objects_are_json_or_cbor_or_base64() {
    let of = kind("apps/v1", "ControllerRevision");
    let data = |raw: &[u8]| tree(of, &revision(raw)).get("data").cloned();
    assert_eq!(data(b"{\"a\":[1]}"), Some(Value::from(json!({"a": [1]}))));
    assert_eq!(data(b"\xd9\xd9\xf7\xa1\x41a\x81\x01"), Some(Value::from(json!({"a": [1]}))));
    assert_eq!(data(b""), Some(Value::Null));
    for raw in [&b"k8s\0"[..], b"\xa0", b"{", b"\xd9\xd9\xf7\xff"] {
        let stored = revision(raw);
        let (value, notes) = decoded(of, &stored, &everything());
        assert_eq!(value.expect("sound").text(&["data"]), text::base64(raw));
        assert_eq!(notes, Notes { opaque_parts: 1, ..Notes::default() });
    }
    let deep = |levels: usize| revision(&[b"[".repeat(levels), b"]".repeat(levels)].concat());
    assert!(decoded(of, &deep(100), &everything()).0.is_ok());
    let most = deep(MAX_DEPTH);
    let (value, notes) = decoded(of, &most, &everything());
    // Read by itself it is as deep as anything may be, but here it is inside.
    assert!(value.is_err_and(|fault| fault.kind == FaultKind::TooDeep) || notes.opaque_parts == 1);
}

#[test]
fn fields_that_are_not_wanted_are_left_out() {
    let manager =
        Writer::new().bytes(1, b"kubectl").bytes(7, &Writer::new().bytes(1, b"{}").finish()).finish();
    let entry = [string(1, "app"), string(2, "web")].concat();
    let metadata = Writer::new().bytes(1, b"web").bytes(11, &entry).bytes(17, &manager).finish();
    let container = Writer::new().bytes(1, b"c").bytes(2, b"image").finish();
    let spec = Writer::new().bytes(2, &container).bytes(10, b"node1").finish();
    let message = Writer::new().bytes(1, &metadata).bytes(2, &spec).finish();
    let pod = kind("v1", "Pod");
    let with =
        |fields| owned(&decoded(pod, &message, &Options { fields, ..Options::default() }).0.expect("sound"));
    let whole = with(FieldSet::all());
    assert_eq!(whole.items(&["metadata", "managedFields"]).len(), 1);
    let sets = [
        Options::default().fields,
        FieldSet::only(["metadata.name", "metadata.labels.app", "spec.containers.name"]),
        FieldSet::only(["metadata", "spec.nodeName", "spec.tolerations", "nothing"]),
        FieldSet::only([]),
    ];
    for set in sets {
        let mut expected = whole.clone();
        set.prune(&mut expected);
        assert_eq!(with(set), expected);
    }
}

#[test]
fn servers_before_1_34_print_unset_creation_timestamps() {
    let deployment = kind("apps/v1", "Deployment");
    let template = ["spec", "template", "metadata"];
    let old = Options { null_creation_timestamps: true, ..Options::default() };
    let value = decoded(deployment, b"", &old).0.expect("sound");
    assert_eq!(value.at(&template), Some(&Value::from(json!({"creationTimestamp": null}))));
    let value = decoded(deployment, b"", &Options::default()).0.expect("sound");
    assert_eq!(value.at(&template), Some(&Value::from(json!({}))));
}

/// A message nested in itself `levels` times: field `number` all the way down.
fn nested(number: u32, levels: usize) -> Vec<u8> {
    (0..levels).fold(Vec::new(), |inner, _| Writer::new().bytes(number, &inner).finish())
}

#[test]
fn deep_nesting_is_refused() {
    let crd = kind("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition");
    // spec.validation.openAPIV3Schema, and there `not` in `not`.
    let schema = |levels| {
        let schema = nested(28, levels);
        let validation = Writer::new().bytes(1, &schema).finish();
        Writer::new().bytes(2, &Writer::new().bytes(5, &validation).finish()).finish()
    };
    assert!(decoded(crd, &schema(100), &everything()).0.is_ok());
    let fault = decoded(crd, &schema(1000), &everything()).0.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::TooDeep);
    assert!(fault.place.starts_with("spec.validation.openAPIV3Schema.not.not"), "{}", fault.place);
}

#[test]
fn a_small_message_does_not_become_a_large_tree() {
    // Each empty item of a list stands for some twenty values.
    let list = kind("apps/v1", "StatefulSetList");
    let empty_items = |count| [0x12, 0].repeat(count);
    assert!(decoded(list, &empty_items(20), &everything()).0.is_ok());
    let fault = decoded(list, &empty_items(1_000_000), &everything()).0.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::TooLarge);
}

/// Time must grow as the message does; a square of it would be minutes.
#[test]
fn many_parts_are_read_in_linear_time() {
    let pod = kind("v1", "Pod");
    let name = Writer::new().bytes(1, &string(1, "x")).finish();
    let metadata = name.repeat(500_000);
    let started = std::time::Instant::now();
    let (value, notes) = decoded(pod, &metadata, &everything());
    assert_eq!(value.expect("sound").text(&["metadata", "name"]), "x");
    assert_eq!(notes.repeated_fields, 2);
    // Out of order, and many of them unknown below a long key.
    let backwards = [[0x1a, 0], [0x12, 0]].concat().repeat(500_000);
    let _ = decoded(pod, &backwards, &everything());
    let entry = Writer::new().bytes(1, &vec![b'k'; 500_000]).finish();
    let entry = [entry, [0x98, 6, 1].repeat(500_000)].concat();
    let message = Writer::new().bytes(1, &Writer::new().bytes(12, &entry).finish()).finish();
    let (_, notes) = decoded(pod, &message, &everything());
    assert_eq!(notes.unknown_fields, 500_000);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(index in 0usize..1000, message: Vec<u8>) {
        let table = FieldTable::kubernetes();
        let (_, of) = table.kinds().nth(index % table.kinds().count()).expect("a kind");
        let _ = decoded(of, &message, &everything());
        let _ = decoded(of, &message, &Options::default());
    }
}
