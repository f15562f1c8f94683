//! Values of Kubernetes keys.

use etcdsnap::kube::envelope::{Envelope, check_shape};
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::notes::Notes;
use etcdsnap::kube::object::{Object, Options};
use etcdsnap::kube::value::Value;
use etcdsnap::kube::{self, dated, stray, table, yaml};

/// A value of a Kubernetes key, as far as it is recognised without decoding.
pub(super) fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::parse(bytes) {
        let _ = check_shape(&envelope);
    }
    let _ = dated::newest_time(bytes);
    let _ = stray::strays(bytes);
}

/// A value decoded whole, and written down in every form.
pub(super) fn object(bytes: &[u8]) {
    let options = Options { fields: FieldSet::all(), null_creation_timestamps: true };
    for options in [options, Options::default()] {
        let Ok(mut object) = Object::decode(bytes, &options) else { continue };
        object.set_resource_version(1);
        shown(&object.value);
        let group = object.api_version().split_once('/').map_or("", |(group, _)| group).to_owned();
        let mut context = table::Context::new(None);
        context.wide = true;
        if let Some(printer) = table::printer(&group, object.kind()) {
            assert_eq!(printer.cells(&object.value, &context).len(), printer.columns(&context).count());
        }
    }
}

fn shown(value: &Value<'_>) {
    let mut text = Vec::new();
    kube::json::write(value, &mut text);
    let again = kube::json::parse(&text).expect("what was written can be read");
    let mut once_more = Vec::new();
    kube::json::write(&again, &mut once_more);
    assert!(text == once_more, "JSON comes back as it was");
    text.clear();
    yaml::write(value, &mut text);
    let control = |byte: &u8| *byte < 0x20 && *byte != b'\n' && *byte != b'\t';
    assert!(!text.iter().any(control), "no control character is written");
}

/// JSON, as custom resources are stored.
pub(super) fn json(bytes: &[u8]) {
    if let Ok(value) = kube::json::parse(bytes) {
        shown(&value);
    }
}

/// CBOR, as custom resources are stored.
pub(super) fn cbor(bytes: &[u8]) {
    if let Ok(value) = kube::cbor::parse(bytes, &mut Notes::default()) {
        shown(&value);
    }
}
