use super::*;
use proptest::prelude::*;

fn tables() -> [(&'static str, &'static [u8], &'static FieldTable); 2] {
    [
        ("kubernetes", include_bytes!("kubernetes.bin"), FieldTable::kubernetes()),
        ("openshift", include_bytes!("openshift.bin"), FieldTable::openshift()),
    ]
}

#[test]
fn the_tables_are_what_their_layout_says() {
    for (name, bytes, table) in tables() {
        assert!(FieldTable::new(bytes).is_ok(), "{name}");
        let kinds: Vec<_> = table.kinds().map(|(kind, _)| kind).collect();
        assert_eq!(kinds.len(), table.kinds.len(), "{name}: every kind has a type");
        assert!(kinds.is_sorted_by(|a, b| a < b), "{name}: kinds in order, each once");
        assert!(kinds.iter().all(|kind| kind.split('/').count() == 3), "{name}");
        let mut next = 0;
        for (index, row) in table.types.iter().enumerate() {
            let index = u16::try_from(index).expect("few types");
            let message = table.message_type(index).expect("its fields and its name are in the table");
            assert!(!message.name().is_empty(), "{name}: type {index}");
            assert_eq!(u32::from_le_bytes([row[0], row[1], row[2], row[3]]), next, "{name}: {message:?}");
            next += u32::try_from(message.fields().len()).expect("few fields");
            check_type(name, message);
        }
        assert_eq!(next as usize, table.fields.len(), "{name}: no field is outside a type");
    }
}

fn check_type(name: &str, message: MessageType) {
    let numbers: Vec<_> = message.fields().map(|field| field.number()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{name}: {message:?} in order of number");
    assert!(numbers.first().is_none_or(|first| *first > 0), "{name}: {message:?}");
    let mut names: Vec<_> = message.fields().filter(|f| !f.flags().inline()).map(|f| f.name()).collect();
    names.sort_unstable();
    assert!(names.is_sorted_by(|a, b| a < b), "{name}: {message:?} has each name once");
    for (position, field) in message.fields().enumerate() {
        assert_eq!(message.position(field.number()), Some(position));
        let (form, flags) = (field.form().expect("a known form"), field.flags());
        let inside = matches!(
            form,
            Form::Message
                | Form::MessageList
                | Form::SchemaOrBool
                | Form::SchemaOrArray
                | Form::SchemaOrStrings
        );
        assert_eq!(field.message_type().is_some(), inside, "{name}: {message:?} {field:?}");
        assert_eq!(field.name().is_empty(), flags.inline(), "{name}: {message:?} {field:?}");
        assert!(!flags.inline() || form == Form::Message, "{name}: {message:?} {field:?}");
        let shapes = [flags.repeated(), flags.map(), flags.pointer(), flags.inline()];
        assert!(shapes.iter().filter(|shape| **shape).count() <= 1, "{name}: {message:?} {field:?}");
        assert_eq!(flags.0 & 0x80, 0, "{name}: {message:?} {field:?}");
    }
}

#[test]
fn kinds_are_found_by_api_version_and_kind() {
    let table = FieldTable::kubernetes();
    assert!(table.newest_minor() >= 35);
    let pod = table.find(b"v1", b"Pod").expect("a kind");
    assert!(pod.name().ends_with("Pod"), "{pod:?}");
    let names: Vec<_> = pod.fields().map(|field| (field.number(), field.name())).collect();
    assert_eq!(names, [(1, "metadata"), (2, "spec"), (3, "status")]);
    let deployment = table.find(b"apps/v1", b"Deployment").expect("a kind");
    let spec = deployment.fields().nth(1).and_then(|field| field.message_type()).expect("a message");
    let replicas = spec.fields().next().expect("a field");
    assert_eq!((replicas.name(), replicas.form()), ("replicas", Some(Form::Int)));
    assert!(replicas.flags().pointer() && replicas.flags().omit_empty() && !replicas.flags().repeated());
    for (name, message) in table.kinds() {
        let (api_version, kind) = name.rsplit_once('/').expect("three parts");
        let api_version = api_version.strip_prefix('/').unwrap_or(api_version);
        let found = table.find(api_version.as_bytes(), kind.as_bytes()).expect("itself");
        assert_eq!(found.rows.as_ptr(), message.rows.as_ptr(), "{name}");
    }
    for (api_version, kind) in [("v1", "Nothing"), ("apps/v1", "Pod"), ("", ""), ("a/b/c", "d"), ("v1", "")] {
        assert!(table.find(api_version.as_bytes(), kind.as_bytes()).is_none());
    }
    assert!(pod.position(0).is_none() && pod.position(4).is_none() && pod.position(u32::MAX).is_none());
}

/// Asks a table everything it can be asked.
fn use_up(table: FieldTable) {
    let table: &'static FieldTable = Box::leak(Box::new(table));
    let _ = table.find(b"apps/v1", b"Deployment");
    for (_, message) in table.kinds() {
        let _ = (message.name(), message.position(1), message.position(7));
        for field in message.fields() {
            let _ = (field.name(), field.form(), field.flags(), field.message_type());
        }
    }
}

#[test]
fn what_is_no_table_is_refused() {
    let new = |bytes: Vec<u8>| FieldTable::new(bytes.leak()).map(|_| ());
    let good = include_bytes!("kubernetes.bin").to_vec();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(new(Vec::new()), Err(TableFault::Magic));
    assert_eq!(new(with(0, b'X')), Err(TableFault::Magic));
    assert_eq!(new(with(4, 2)), Err(TableFault::Layout(2)));
    assert_eq!(new(good[..20].to_vec()), Err(TableFault::Length));
    assert_eq!(new(good[..good.len() - 1].to_vec()), Err(TableFault::Length));
    assert_eq!(new(with(11, 0xff)), Err(TableFault::Length));
    assert_eq!(new([&good[..], b"x"].concat()), Err(TableFault::Length));
    assert_eq!(new(with(good.len() - 1, 0xff)), Err(TableFault::Text));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_table_can_be_asked(damage in prop::collection::vec((24usize..100_000, any::<u8>()), 1..200)) {
        let mut bytes = include_bytes!("kubernetes.bin").to_vec();
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok(table) = FieldTable::new(bytes.leak()) {
            use_up(table);
        }
    }
}
