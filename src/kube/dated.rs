//! When an object was last touched, as far as it says itself.
//!
//! A snapshot does not say when it was taken. The newest time in its objects is
//! the next best thing: leases are renewed every few seconds.

use serde::Deserialize;
use serde_json::Value;

use crate::codec::protobuf::{Fields, WireFault};

use super::envelope::{Envelope, Unknown};
use super::unix_time::UnixTime;

/// The newest point in time in a stored value; `None` if it has none, is damaged,
/// encrypted, or no object.
///
/// Looked at: creation, deletion and the managed fields' times in the metadata;
/// of a Lease when it was acquired and renewed; of an Event when it was seen.
/// Clocks may have been wrong, and users can write leases and events too.
pub fn newest_time(value: &[u8]) -> Option<UnixTime> {
    newest_time_in(&Envelope::parse(value).ok()?)
}

/// The same for a value that was recognised.
pub fn newest_time_in(envelope: &Envelope<'_>) -> Option<UnixTime> {
    match envelope {
        Envelope::Protobuf(unknown) if unknown.is_protobuf() => in_protobuf(unknown).ok()?,
        Envelope::Json(text) => in_json(text).ok()?,
        _ => None,
    }
}

/// What Go writes for a time that was never set.
const GO_ZERO: i64 = -62_135_596_800;

/// The newest of the times met so far, and the parts of the deletion's.
#[derive(Default)]
struct Newest {
    seconds: Option<i64>,
    deletion: Option<i64>,
    grace: i64,
}

impl Newest {
    fn offer(&mut self, seconds: Option<i64>) {
        self.seconds = self.seconds.max(seconds.filter(|seconds| *seconds != GO_ZERO));
    }

    /// A deletion's time is when the object may go: the grace period, if any,
    /// after the request, and so perhaps after the snapshot was taken.
    fn finish(mut self) -> Option<UnixTime> {
        self.offer(self.deletion.map(|seconds| seconds.saturating_sub(self.grace.max(0))));
        UnixTime::from_seconds(self.seconds?)
    }
}

/// The objects that carry more times than their metadata.
#[derive(PartialEq, Eq)]
enum Dated {
    Lease,
    CoreEvent,
    Event,
    No,
}

impl Dated {
    fn of(api_version: &[u8], kind: &[u8]) -> Self {
        match kind {
            b"Lease" if api_version.starts_with(b"coordination.k8s.io/") => Self::Lease,
            b"Event" if api_version == b"v1" => Self::CoreEvent,
            b"Event" if api_version.starts_with(b"events.k8s.io/") => Self::Event,
            _ => Self::No,
        }
    }
}

/// Field numbers: kubernetes `staging/src/k8s.io/apimachinery/pkg/apis/meta/v1`,
/// `.../api/{core,coordination,events}/v1/generated.proto`; the same in every
/// version of these groups.
fn in_protobuf(unknown: &Unknown<'_>) -> Result<Option<UnixTime>, WireFault> {
    let mut newest = Newest::default();
    let dated = Dated::of(unknown.api_version, unknown.kind);
    for field in Fields::new(unknown.raw) {
        let field = field?;
        match (&dated, field.number) {
            (_, 1) => metadata(&mut newest, field.bytes()?)?,
            // The spec: acquireTime, renewTime.
            (Dated::Lease, 2) => times(&mut newest, field.bytes()?, &[3, 4])?,
            // firstTimestamp, lastTimestamp, eventTime.
            (Dated::CoreEvent, 6 | 7 | 10) => newest.offer(seconds(field.bytes()?)?),
            // eventTime, deprecatedFirstTimestamp, deprecatedLastTimestamp.
            (Dated::Event, 2 | 13 | 14) => newest.offer(seconds(field.bytes()?)?),
            // The series: lastObservedTime.
            (Dated::CoreEvent, 11) | (Dated::Event, 3) => times(&mut newest, field.bytes()?, &[2])?,
            _ => {}
        }
    }
    Ok(newest.finish())
}

/// `ObjectMeta`: 8 creationTimestamp, 9 deletionTimestamp,
/// 10 deletionGracePeriodSeconds, 17 managedFields (4 time).
fn metadata(newest: &mut Newest, message: &[u8]) -> Result<(), WireFault> {
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            8 => newest.offer(seconds(field.bytes()?)?),
            9 => newest.deletion = seconds(field.bytes()?)?,
            10 => newest.grace = field.int64()?,
            17 => times(newest, field.bytes()?, &[4])?,
            _ => {}
        }
    }
    Ok(())
}

/// Takes the times that are fields `numbers` of `message`.
fn times(newest: &mut Newest, message: &[u8], numbers: &[u32]) -> Result<(), WireFault> {
    for field in Fields::new(message) {
        let field = field?;
        if numbers.contains(&field.number) {
            newest.offer(seconds(field.bytes()?)?);
        }
    }
    Ok(())
}

/// `Time` and `MicroTime`: 1 seconds, 2 nanoseconds. An unset time is an empty
/// message.
fn seconds(message: &[u8]) -> Result<Option<i64>, WireFault> {
    let mut seconds = (!message.is_empty()).then_some(0);
    for field in Fields::new(message) {
        let field = field?;
        if field.number == 1 {
            seconds = Some(field.int64()?);
        }
    }
    Ok(seconds)
}

/// What is read of every object; serde skips the rest without storing it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonObject {
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    metadata: Option<JsonMetadata>,
}

/// Values and not texts, so that an odd one does not spoil the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonMetadata {
    #[serde(default)]
    creation_timestamp: Value,
    #[serde(default)]
    deletion_timestamp: Value,
    #[serde(default)]
    deletion_grace_period_seconds: Value,
    #[serde(default)]
    managed_fields: Option<Vec<JsonManager>>,
}

#[derive(Deserialize)]
struct JsonManager {
    #[serde(default)]
    time: Value,
}

fn in_json(text: &[u8]) -> Result<Option<UnixTime>, serde_json::Error> {
    let mut newest = Newest::default();
    let object: JsonObject = serde_json::from_slice(text)?;
    if let Some(metadata) = &object.metadata {
        newest.offer(json_seconds(&metadata.creation_timestamp));
        newest.deletion = json_seconds(&metadata.deletion_timestamp);
        newest.grace = metadata.deletion_grace_period_seconds.as_i64().unwrap_or_default();
        for manager in metadata.managed_fields.iter().flatten() {
            newest.offer(json_seconds(&manager.time));
        }
    }
    let kind = object.kind.unwrap_or_default();
    let paths: &[&str] = match Dated::of(object.api_version.unwrap_or_default().as_bytes(), kind.as_bytes()) {
        Dated::Lease => &["/spec/acquireTime", "/spec/renewTime"],
        Dated::CoreEvent => &["/firstTimestamp", "/lastTimestamp", "/eventTime", "/series/lastObservedTime"],
        Dated::Event => &[
            "/eventTime",
            "/series/lastObservedTime",
            "/deprecatedFirstTimestamp",
            "/deprecatedLastTimestamp",
        ],
        Dated::No => &[],
    };
    if !paths.is_empty() {
        let whole: Value = serde_json::from_slice(text)?;
        for value in paths.iter().filter_map(|path| whole.pointer(path)) {
            newest.offer(json_seconds(value));
        }
    }
    Ok(newest.finish())
}

fn json_seconds(value: &Value) -> Option<i64> {
    value.as_str()?.parse().ok().map(UnixTime::seconds)
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::wrapped;
    use super::*;
    use crate::codec::protobuf::Writer;
    use proptest::prelude::*;

    fn time(seconds: u64) -> Vec<u8> {
        Writer::new().varint(1, seconds).varint(2, 5).finish()
    }

    fn newest(value: &[u8]) -> Option<i64> {
        newest_time(value).map(UnixTime::seconds)
    }

    /// A protobuf object with metadata and whatever `more` adds.
    fn object(kind: (&str, &str), metadata: Writer, more: impl FnOnce(Writer) -> Writer) -> Vec<u8> {
        wrapped(kind.0, kind.1, &more(Writer::new().bytes(1, &metadata.finish())).finish())
    }

    #[test]
    fn metadata_in_protobuf() {
        let of = |metadata| newest(&object(("v1", "Pod"), metadata, |writer| writer));
        assert_eq!(of(Writer::new()), None);
        assert_eq!(of(Writer::new().bytes(8, b"")), None);
        assert_eq!(of(Writer::new().bytes(8, &time(100))), Some(100));
        let manager = |seconds| Writer::new().bytes(1, b"kubectl").bytes(4, &time(seconds)).finish();
        let managed = Writer::new().bytes(8, &time(100)).bytes(17, &manager(300)).bytes(17, &manager(200));
        assert_eq!(of(managed), Some(300));
        assert_eq!(of(Writer::new().bytes(8, &time(GO_ZERO as u64))), None);
        assert_eq!(of(Writer::new().bytes(8, &time(u64::MAX / 2))), None);
        assert_eq!(of(Writer::new().bytes(8, &[0x08])), None);
        assert_eq!(of(Writer::new().varint(8, 100)), None);
    }

    #[test]
    fn a_deletion_is_dated_by_its_request() {
        let of = |metadata| newest(&object(("v1", "Pod"), metadata, |writer| writer));
        let deleted = Writer::new().bytes(8, &time(100)).bytes(9, &time(1_000));
        assert_eq!(of(deleted.clone()), Some(1_000));
        assert_eq!(of(deleted.clone().varint(10, 30)), Some(970));
        assert_eq!(of(deleted.varint(10, u64::MAX)), Some(1_000));
        let json =
            br#"{"metadata":{"deletionTimestamp":"1970-01-01T00:01:00Z","deletionGracePeriodSeconds":30}}"#;
        assert_eq!(newest(json), Some(30));
    }

    #[test]
    fn leases_and_events_in_protobuf() {
        let metadata = || Writer::new().bytes(8, &time(100));
        let spec = Writer::new().bytes(3, &time(150)).bytes(4, &time(200)).finish();
        let lease = |version| object((version, "Lease"), metadata(), |writer| writer.bytes(2, &spec));
        assert_eq!(newest(&lease("coordination.k8s.io/v1")), Some(200));
        assert_eq!(newest(&lease("coordination.k8s.io/v1beta1")), Some(200));
        assert_eq!(newest(&lease("example.com/v1")), Some(100));
        let series = Writer::new().varint(1, 3).bytes(2, &time(400)).finish();
        let event = |version, number, bytes: &[u8]| {
            newest(&object((version, "Event"), metadata(), |writer| writer.bytes(number, bytes)))
        };
        for number in [6, 7, 10] {
            assert_eq!(event("v1", number, &time(300)), Some(300));
        }
        assert_eq!(event("v1", 11, &series), Some(400));
        assert_eq!(event("v1", 13, &time(300)), Some(100));
        for number in [2, 13, 14] {
            assert_eq!(event("events.k8s.io/v1", number, &time(300)), Some(300));
        }
        assert_eq!(event("events.k8s.io/v1", 3, &series), Some(400));
    }

    #[test]
    fn objects_in_json() {
        let widget = br#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{
            "creationTimestamp":"1970-01-01T00:00:10Z","managedFields":[{"time":"1970-01-01T00:00:20Z"},
            {"manager":"x"},{"time":7}]},"spec":{"renewTime":"1980-01-01T00:00:00Z"}}"#;
        assert_eq!(newest(widget), Some(20));
        let lease = br#"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{
            "creationTimestamp":null},"spec":{"renewTime":"1970-01-01T00:00:30.123456Z","acquireTime":1}}"#;
        assert_eq!(newest(lease), Some(30));
        let event = br#"{"apiVersion":"v1","kind":"Event","metadata":{"managedFields":null},
            "lastTimestamp":"1970-01-01T00:00:40Z","series":{"lastObservedTime":"1970-01-01T00:00:50.0Z"}}"#;
        assert_eq!(newest(event), Some(50));
        for none in [&br#"{}"#[..], br#"{"metadata":null}"#, br#"{"metadata":1}"#, b"{]}", b"{\"a\""] {
            assert_eq!(newest(none), None);
        }
    }

    #[test]
    fn values_without_a_time() {
        for none in [&b""[..], b"4711", b"k8s\0", b"k8s:enc:aescbc:v1:key:xxxx", b"\xd9\xd9\xf7\xa0"] {
            assert_eq!(newest(none), None);
        }
    }

    proptest! {
        #[test]
        fn any_value_can_be_read(raw: Vec<u8>, text in "[{}\\[\\]\",:a1 ]{0,40}") {
            let spec = Writer::new().bytes(1, &raw).bytes(2, &raw).bytes(3, &raw).finish();
            for version in ["v1", "events.k8s.io/v1", "coordination.k8s.io/v1"] {
                for kind in ["Event", "Lease"] {
                    let _ = newest_time(&wrapped(version, kind, &raw));
                    let _ = newest_time(&wrapped(version, kind, &spec));
                }
            }
            let _ = newest_time(&raw);
            let _ = newest_time(format!("{{\"metadata\":{text}}}").as_bytes());
        }
    }
}
