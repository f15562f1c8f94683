//! Encryption at rest, against the API server's own code: what it takes for a
//! configuration, and what it makes of stored values.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::kube::encryption::{ConfigError, Keyring, Locked, Odd, Why};
use etcdsnap::kube::envelope::{Envelope, Provider, check_shape};
use etcdsnap::kube::registry_key::{Prefixes, RegistryKey};
use etcdsnap::ops::encryption::{Request, StoredAs, audit};
use etcdsnap::ops::finding::Grade;
use etcdsnap::ops::verify::{Options, verify};
use etcdsnap::ops::{Progress, Settings, keys};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value as Json;

/// `fixtures/reference/encryption/verdicts.json`, written by
/// `tests/upstream/encryption`.
#[derive(Deserialize)]
struct Verdicts {
    configs: Vec<Config>,
    values: Vec<Stored>,
    answers: Vec<String>,
    verdicts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Config {
    name: String,
    text: String,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Stored {
    name: String,
    group: String,
    resource: String,
    key: String,
    stored: String,
    plain: String,
}

fn fixture(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

static VERDICTS: LazyLock<Verdicts> = LazyLock::new(|| {
    serde_json::from_slice(&fixture("reference/encryption/verdicts.json")).expect("verdicts")
});

fn config(name: &str) -> &'static Config {
    VERDICTS.configs.iter().find(|config| config.name == name).expect(name)
}

fn keyring(name: &str) -> Keyring {
    Keyring::parse(config(name).text.as_bytes()).expect(name)
}

fn bytes(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).expect("base64")
}

fn stored(name: &str) -> (&'static Stored, Vec<u8>) {
    let found = VERDICTS.values.iter().find(|value| value.name == name).expect(name);
    (found, bytes(&found.stored))
}

fn is_object(plain: &[u8]) -> bool {
    matches!(Envelope::parse(plain), Ok(Envelope::Protobuf(_) | Envelope::Json(_) | Envelope::Cbor(_)))
}

/// What the server's words stand for.
fn reasons(error: &str) -> Vec<Why> {
    let error = error.strip_prefix("error: ").unwrap_or(error);
    let list = error.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    list.unwrap_or(error)
        .split(", ")
        .flat_map(|part| match part {
            "no matching prefix found" => vec![Why::NoProvider, Why::PlainText],
            "identity transformer tried to read encrypted data" => vec![Why::NotCovered],
            "no matching key was found for the provided AES transformer"
            | "no matching key was found for the provided Secretbox transformer" => vec![Why::NoKey],
            "the stored data was shorter than the required size"
            | "the stored data is not a multiple of the block size"
            | "panic: runtime error: index out of range [-1]" => vec![Why::Length],
            "invalid PKCS7 data (empty or not padded)"
            | "invalid padding on input"
            | "output array was not large enough for encryption" => vec![Why::WrongKey, Why::Altered],
            // Go does not tell a value that is too short for its tag from one that is wrong.
            "cipher: message authentication failed" => vec![Why::WrongKey, Why::Altered, Why::Length],
            other => panic!("an unknown answer: {other}"),
        })
        .collect()
}

#[test]
fn every_value_opens_as_the_api_server_opens_it() {
    let mut compared = 0;
    let mut opened = 0;
    for (name, row) in &VERDICTS.verdicts {
        let keyring = keyring(name);
        let row: Vec<usize> = row.split(' ').map(|number| number.parse().expect("a number")).collect();
        assert_eq!(row.len(), VERDICTS.values.len());
        for (value, answer) in VERDICTS.values.iter().zip(row) {
            let answer = VERDICTS.answers[answer].as_str();
            let (data, plain) = (bytes(&value.stored), bytes(&value.plain));
            let ours =
                keyring.open(value.group.as_bytes(), value.resource.as_bytes(), value.key.as_bytes(), &data);
            let place = format!("{name}, {}: the server says {answer:?}, we {ours:?}", value.name);
            let of_kms = data.starts_with(b"k8s:enc:kms:");
            compared += 1;
            match (answer, &ours) {
                // A server asks the service, where there is one.
                ("fresh" | "stale" | "fresh, other" | "stale, other", Err(locked)) if of_kms => {
                    assert_eq!(locked.why, Why::Kms, "{place}");
                }
                (error, Err(locked)) if of_kms && locked.why == Why::Kms => {
                    assert!(error.starts_with("error: "), "{place}");
                }
                // What is no object was encrypted with aescbc, or comes out with a wrong key.
                ("fresh" | "stale", Err(locked)) if !is_object(&plain) => {
                    assert!(data.starts_with(b"k8s:enc:aescbc:"), "{place}");
                    assert_eq!(locked.why, Why::WrongKey, "{place}");
                }
                ("fresh, other" | "stale, other", Err(locked)) => {
                    assert!(data.starts_with(b"k8s:enc:aescbc:"), "{place}");
                    assert!([Why::WrongKey, Why::Altered].contains(&locked.why), "{place}");
                }
                ("fresh" | "stale", Ok(ours)) => {
                    assert_eq!(**ours, *plain, "{place}");
                    assert_eq!(ours.stale, answer == "stale", "{place}");
                    opened += 1;
                }
                (error, Err(locked)) => {
                    let broken_header = Envelope::parse(&data).is_err() && locked.why == Why::Header;
                    assert!(broken_header || reasons(error).contains(&locked.why), "{place}");
                }
                (_, Ok(_)) => panic!("{place}"),
            }
        }
    }
    assert_eq!(compared, VERDICTS.verdicts.len() * VERDICTS.values.len());
    assert!(opened > 400, "only {opened} values were opened");
}

#[test]
fn configurations_are_taken_and_refused_as_by_the_api_server() {
    let mut refused = 0;
    for Config { name, text, error } in &VERDICTS.configs {
        let ours = Keyring::parse(text.as_bytes());
        // Servers before 1.27 took these.
        let once = name.starts_with("odd: ") && name != "odd: a star";
        assert_eq!(ours.is_err(), error.is_some() && !once, "{name}: the server says {error:?}, we {ours:?}");
        refused += usize::from(ours.is_err());
        if let Ok(keyring) = ours {
            let odd = once && name != "odd: kms without endpoint";
            assert_eq!(keyring.remarks().len(), usize::from(odd), "{name}: {:?}", keyring.remarks());
        }
    }
    assert!(refused > 40);
}

#[test]
fn errors_name_the_place_and_the_fault() {
    let error = |name: &str| Keyring::parse(config(name).text.as_bytes()).expect_err(name).to_string();
    for (name, expected) in [
        ("bad: empty", "it is empty"),
        ("bad: no kind", "found no kind"),
        ("bad: other kind", r#"found "Secret" of "apiserver.config.k8s.io/v1""#),
        ("bad: no resources", "resources: at least one element is required"),
        ("bad: no resource", "resources[0].resources: at least one element is required"),
        ("bad: no providers", "resources[0].providers: at least one element is required"),
        ("bad: provider of nothing", "resources[0].providers[0]: none of the providers"),
        (
            "bad: two providers in one",
            "resources[0].providers[0]: several providers in one element: aescbc, identity",
        ),
        ("bad: no keys", "resources[0].providers[0].aescbc.keys: at least one element is required"),
        ("bad: key without name", "resources[0].providers[0].aescbc.keys[0].name: it is missing"),
        ("bad: key without secret", "resources[0].providers[0].aescbc.keys[0].secret: it is missing"),
        ("bad: not base64", "resources[0].providers[0].aescbc.keys[0].secret: it is not base64"),
        ("bad: length for AES", "keys[0].secret: the key has 31 bytes, expected 16 or 24 or 32"),
        ("bad: length for secretbox", "keys[0].secret: the key has 24 bytes, expected 32"),
        ("bad: masked by all", r#"resources[1].resources[0]: "secrets" is covered by "*.*" further up"#),
        ("bad: core group twice", r#"resources[1].resources[0]: "*." is covered by "*.""#),
        ("bad: overlap", r#"resources[0].resources[1]: "*." covers another element of the same list"#),
        (
            "bad: kms v2 twice",
            r#"resources[0].providers[1].kms.name: there is another KMS plugin called "a""#,
        ),
        ("bad: syntax", "line 12, column 1: did not find expected node content"),
        (
            "bad: unknown field",
            "line 7, column 7: resources[0].providers[0].aescbc: unknown field `key`, expected `keys`",
        ),
        (
            "bad: unknown provider",
            "unknown field `aesctr`, expected one of `aesgcm`, `aescbc`, `secretbox`, `identity`, `kms`",
        ),
        ("bad: key as text", "invalid type: string, expected a mapping with name and secret"),
        ("bad: field twice", "duplicate field `secret`"),
    ] {
        let error = error(name);
        assert!(error.contains(expected), "{name}: {error:?} does not say {expected:?}");
    }
    let all = Keyring::parse(
        b"{\"apiVersion\": \"apiserver.config.k8s.io/v1\", \"kind\": \"EncryptionConfiguration\",
           \"resources\": [{\"providers\": [{\"aescbc\": {\"keys\": [{}]}}]}]}",
    );
    let Err(ConfigError::Invalid(all)) = all else { panic!("{all:?}") };
    let places: Vec<_> = all.iter().map(|invalid| invalid.place.as_str()).collect();
    let key = "resources[0].providers[0].aescbc.keys[0]";
    assert_eq!(places, ["resources[0].resources", &format!("{key}.name"), &format!("{key}.secret")]);
    let typed = Keyring::parse(b"{\"kind\": 1,\n \"apiVersion\": []}").expect_err("types").to_string();
    assert_eq!(typed, "line 1, column 10: invalid type: integer, expected a string");
}

#[test]
fn a_file_that_a_parser_would_need_minutes_for_is_refused_unread() {
    // libyaml looks at every open map for each of its tokens.
    let text = "{a: ".repeat(1 << 18);
    assert_eq!(Keyring::parse(text.as_bytes()).err(), Some(ConfigError::TooLong));
    let fits = [&b"{}"[..], &b" ".repeat(Keyring::LIMIT - 2)].concat();
    assert!(matches!(Keyring::parse(&fits).err(), Some(ConfigError::Kind { .. })));
}

/// No eight characters of `secret` stand in `text`.
fn keeps(secret: &str, text: &str) -> bool {
    secret.as_bytes().windows(8).all(|part| !text.contains(std::str::from_utf8(part).expect("ASCII")))
}

#[test]
fn no_message_holds_a_secret() {
    let mut secrets = Vec::new();
    for Config { text, .. } in &VERDICTS.configs {
        let words = text.split(|char: char| !char.is_ascii_alphanumeric() && !"+/=!".contains(char));
        let known = ["apiserver", "EncryptionConfiguration", "serviceipallocations", "deployments"];
        secrets.extend(words.filter(|word| word.len() >= 20 && !known.contains(word)));
    }
    secrets.sort_unstable();
    secrets.dedup();
    assert!(secrets.len() > 10, "{secrets:?}");
    for Config { name, text, .. } in &VERDICTS.configs {
        let shown = match Keyring::parse(text.as_bytes()) {
            Ok(keyring) => format!("{keyring:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        for secret in &secrets {
            assert!(keeps(secret, &shown), "{name}: {shown}");
        }
    }
    // A secret at each place where something else belongs.
    let secret = secrets.iter().find(|secret| secret.len() == 44).expect("a key of 32 bytes");
    for place in [
        "SECRET",
        "- SECRET",
        "SECRET: x",
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: SECRET",
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [SECRET]",
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{SECRET: x}]",
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{resources: [a], providers: [SECRET]}]",
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{resources: [a], providers: [{identity: SECRET}]}]",
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{resources: [a], providers: [{kms: {apiVersion: SECRET}}]}]",
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{resources: {SECRET: 1}}]",
        "{\"kind\": {\"SECRET\": 1}}",
        "{\"kind\": [\"SECRET\"]}",
        "*SECRET",
        "!SECRET x",
        "kind: &SECRET",
        "\"SECRET",
    ] {
        let text = place.replace("SECRET", secret);
        let error = Keyring::parse(text.as_bytes()).expect_err(place);
        assert!(keeps(secret, &format!("{error} {error:?}")), "{place}: {error}");
    }
}

#[test]
fn what_is_wrong_is_told_apart() {
    let why = |config: &str, value: &str| {
        let (found, data) = stored(value);
        let ring = keyring(config);
        let locked =
            ring.open(found.group.as_bytes(), found.resource.as_bytes(), found.key.as_bytes(), &data);
        let Locked { why, other_key, .. } = locked.expect_err("locked");
        (why, other_key.and_then(|id| ring.key(id)).map(|key| key.name.clone()))
    };
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(why("gcm-32", "gcm-32, moved"), (Why::Altered, None));
    assert_eq!(why("gcm-32", "gcm-32, last byte changed"), (Why::Altered, None));
    assert_eq!(why("gcm-32", "gcm-32, first byte changed"), (Why::Altered, None));
    assert_eq!(why("box", "box, last byte changed"), (Why::Altered, None));
    assert_eq!(why("gcm-wrong-secret", "by gcm-32"), (Why::WrongKey, None));
    assert_eq!(why("box-wrong-secret", "by box"), (Why::WrongKey, None));
    assert_eq!(why("cbc-wrong-secret", "by cbc"), (Why::WrongKey, None));
    assert_eq!(why("cbc-only-second", "by cbc"), (Why::NoKey, None));
    // The right key under another name, or in another rule.
    assert_eq!(why("gcm-other-name", "by gcm-32"), (Why::NoKey, name("renamed")));
    assert_eq!(why("gcm-32", "gcm-32, of another resource"), (Why::NotCovered, name("g32")));
    assert_eq!(why("cbc", "cbc, of a group"), (Why::NotCovered, name("k1")));
    assert_eq!(why("cbc-wrong-secret", "by cbc-rotated"), (Why::NoKey, name("k1")));
    assert_eq!(why("wild", "by box"), (Why::NoProvider, name("s1")));
    assert_eq!(why("no-identity", "plain protobuf"), (Why::PlainText, None));
    assert_eq!(why("kms-v2", "by kms-v2"), (Why::Kms, None));
    assert_eq!(why("kms-v2-other", "by kms-v2"), (Why::NoProvider, None));
    assert_eq!(why("kms-v1", "by kms v1"), (Why::Kms, None));
    assert_eq!(why("cbc", "text k8s:enc:aescbc"), (Why::Header, None));
    // A plugin's name may have a colon, in version 1.
    let by_colon = bytes(&stored("by kms v1").0.stored);
    let by_colon = String::from_utf8_lossy(&by_colon).replace("old-plugin", "old:plugin").into_bytes();
    let both = keyring("kms-both");
    assert_eq!(both.open(b"", b"secrets", b"k", &by_colon).expect_err("locked").why, Why::Kms);
}

#[test]
fn values_of_a_kms_say_which() {
    let (_, value) = stored("by kms-v2");
    let locked = Locked::without_configuration(&value).expect("encrypted");
    assert_eq!(
        locked.to_string(),
        "encrypted with kms v2, plugin plugin, key key-of-plugin: no encryption configuration was given"
    );
    let (_, value) = stored("by kms v1");
    let locked = Locked::without_configuration(&value).expect("encrypted");
    assert_eq!(locked.encrypted.map(|header| header.provider), Some(Provider::KmsV1));
    assert!(locked.to_string().starts_with("encrypted with kms v1, plugin old-plugin: "), "{locked}");
    assert_eq!(Locked::without_configuration(b"k8s\0"), None);
}

#[test]
fn where_the_key_does_not_tell_the_group_every_rule_is_tried() {
    let ring = |resource: &str| {
        let text = config("gcm-32").text.replace("[secrets]", &format!("[{resource}]"));
        Keyring::parse(text.as_bytes()).expect("a configuration")
    };
    let (found, data) = stored("by gcm-32");
    let open = |ring: &Keyring, path: &str| {
        let key = RegistryKey::parse(path.as_bytes(), &Prefixes::well_known());
        ring.open_at(&key, found.key.as_bytes(), &data)
            .map(|opened| opened.stale)
            .map_err(|locked| locked.why)
    };
    // A built-in type that this program does not know.
    for resource in ["newthings.of.some.group", "newthings", "'*.some.group'", "'*.*'"] {
        assert_eq!(open(&ring(resource), "/registry/newthings/ns/x"), Ok(false), "{resource}");
    }
    assert_eq!(open(&ring("others"), "/registry/newthings/ns/x"), Err(Why::NotCovered));
    // What servers before 1.27 encrypted by the rule for services.
    assert_eq!(open(&ring("services"), "/registry/ranges/serviceips"), Ok(false));
    assert_eq!(open(&ring("serviceipallocations"), "/registry/ranges/serviceips"), Ok(false));
    assert_eq!(open(&ring("apiServerIPInfo"), "/registry/masterleases/10.0.0.1"), Ok(false));
    assert_eq!(open(&ring("'*.*'"), "/registry/ranges/serviceips"), Err(Why::NotCovered));
    // Plain text there is taken whatever the rules.
    let no_identity = keyring("cbc-wrong-secret");
    let key = RegistryKey::parse(b"/registry/ranges/serviceips", &Prefixes::well_known());
    assert!(no_identity.open_at(&key, b"/registry/ranges/serviceips", b"k8s\0x").is_ok());
}

#[test]
fn odd_names_are_remarked() {
    for (name, odd) in [
        ("odd: the same twice", Odd::Twice),
        ("odd: capitals", Odd::Capitals),
        ("odd: events.k8s.io", Odd::Events),
        ("odd: extensions", Odd::Extensions),
        ("odd: across groups", Odd::AcrossGroups),
        ("odd: no API", Odd::NoApi),
    ] {
        let found: Vec<_> = keyring(name).remarks().iter().map(|remark| remark.odd).collect();
        assert_eq!(found, [odd], "{name}");
    }
}

const ENCRYPTED: &str = "snapshots/k8s-1.35-etcd-3.5-encrypted.db";

fn snapshot() -> Snapshot {
    Snapshot::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(ENCRYPTED))
        .expect("a snapshot")
}

fn its_keys() -> String {
    String::from_utf8(fixture("snapshots/encryption-config.yaml")).expect("text")
}

/// All text in an object, but for what is not stored as it is shown.
fn texts(object: &Json, found: &mut Vec<Vec<u8>>) {
    match object {
        Json::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "resourceVersion" | "creationTimestamp" | "managedFields" | "apiVersion" | "kind" => {}
                    _ => texts(value, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Json::String(text) => found.push(text.as_bytes().to_vec()),
        _ => {}
    }
}

#[test]
fn every_object_of_a_real_cluster_opens_and_is_what_the_server_showed() {
    let shown: BTreeMap<String, Json> =
        serde_json::from_slice(&fixture("reference/encryption/kubectl.json")).expect("objects");
    let keyring = Keyring::parse(its_keys().as_bytes()).expect("keys");
    let snapshot = snapshot();
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let db = snapshot.db().expect("a database");
    let listing = keys::keys(&db, Vec::new(), None, &settings).expect("keys");
    let mut opened = 0;
    for record in listing.iter().filter_map(|key| key.record()) {
        let (key, value) = (record.kv.key, record.kv.value);
        let registry = RegistryKey::parse(key, &Prefixes::well_known());
        let plain = keyring.open_at(&registry, key, value).expect("a value that opens");
        if plain.key.is_none() {
            assert_eq!(*plain, *value);
            continue;
        }
        opened += 1;
        assert!(!plain.stale);
        let mut object = shown[&String::from_utf8_lossy(key).into_owned()].clone();
        let envelope = Envelope::parse(&plain).expect("an envelope");
        assert_eq!(check_shape(&envelope), Ok(()));
        match envelope {
            Envelope::Json(text) => {
                let mut stored: Json = serde_json::from_slice(text).expect("JSON");
                for object in [&mut stored, &mut object] {
                    let metadata = object["metadata"].as_object_mut().expect("metadata");
                    metadata.remove("resourceVersion");
                    metadata.remove("managedFields");
                }
                assert_eq!(stored, object);
            }
            Envelope::Protobuf(unknown) => {
                assert_eq!(unknown.kind, object["kind"].as_str().expect("a kind").as_bytes());
                let mut expected = Vec::new();
                if object["kind"] == "Secret" {
                    let data = object.as_object_mut().expect("fields").remove("data").expect("data");
                    expected.extend(
                        data.as_object()
                            .expect("a map")
                            .values()
                            .map(|value| bytes(value.as_str().expect("base64"))),
                    );
                }
                texts(&object, &mut expected);
                assert!(expected.len() >= 3);
                for text in expected {
                    assert!(text.is_empty() || unknown.raw.windows(text.len()).any(|part| part == text));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((opened, shown.len()), (42, 42));
}

#[test]
fn an_audit_counts_what_opens_and_what_does_not() {
    let snapshot = snapshot();
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let db = snapshot.db().expect("a database");
    let run = |keyring: Option<&Keyring>, all_revisions| {
        let request = Request { keyring, all_revisions, ..Request::default() };
        audit(&db, &request, &settings).expect("a report")
    };
    let report = run(None, false);
    let encrypted = |row: &etcdsnap::ops::encryption::Row<'_>| row.stored.is_encrypted();
    assert_eq!((report.count(encrypted), report.count(|row| !encrypted(row))), (42, 213));
    assert_eq!((report.locked_count(), report.opened_by.len()), (0, 0));
    let rows: Vec<_> = report
        .rows
        .iter()
        .filter(|row| encrypted(row))
        .map(|row| {
            let StoredAs::Encrypted { provider, name, key_id: None } = row.stored else { panic!("{row:?}") };
            (row.type_key.name(), provider.to_string(), String::from_utf8_lossy(name).into_owned(), row.count)
        })
        .collect();
    let row = |resource: &str, provider: &str, key: &str, count| {
        (resource.to_owned(), provider.to_owned(), key.to_owned(), count)
    };
    assert_eq!(
        rows,
        [
            row("configmaps", "secretbox", "sb1", 37),
            row("secrets", "aescbc", "key1", 1),
            row("serviceaccounts", "aesgcm", "g1", 1),
            row("widgets.example.com", "aesgcm", "g1", 3),
        ]
    );

    let right = Keyring::parse(its_keys().as_bytes()).expect("keys");
    let report = run(Some(&right), false);
    assert_eq!(report.locked, []);
    assert_eq!(report.opened_by.values().copied().collect::<Vec<_>>(), [1, 37, 4]);
    let report = run(Some(&right), true);
    assert_eq!((report.locked_count(), report.count(encrypted)), (0, 49));

    let wrong = its_keys().replace("name: sb1", "name: sb2").replace("serviceaccounts, widgets", "widgets");
    let wrong = Keyring::parse(wrong.as_bytes()).expect("keys");
    let report = run(Some(&wrong), false);
    let locked: Vec<_> =
        report.locked.iter().map(|group| (group.type_key.name(), group.why, group.count)).collect();
    assert_eq!(
        locked,
        [("configmaps".to_owned(), Why::NoKey, 37), ("serviceaccounts".to_owned(), Why::NotCovered, 1),]
    );
    assert!(report.locked.iter().all(|group| group.other_key.is_some()));
    assert_eq!(report.locked[1].examples, [b"/registry/serviceaccounts/shop/robot"]);
    // Nothing depends on how the work was dealt.
    for threads in [1, 2, 5] {
        let settings = Settings { threads: std::num::NonZeroUsize::new(threads).expect("some"), ..settings };
        let request = Request { keyring: Some(&wrong), ..Request::default() };
        let again = audit(&db, &request, &settings).expect("a report");
        assert_eq!((again.rows, again.locked), (report.rows.clone(), report.locked.clone()));
    }
}

#[test]
fn verify_opens_values_and_tells_those_that_stay_closed() {
    let snapshot = snapshot();
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let run = |keys: &str| {
        let keyring = Keyring::parse(keys.as_bytes()).expect("keys");
        let options = Options { keyring: Some(keyring.into()), ..Options::default() };
        verify(snapshot.source(), &settings, &options).expect("a report")
    };
    let opened = |report: &etcdsnap::ops::verify::Report| {
        let covered = report.checks.iter().flat_map(|check| &check.covered);
        covered.filter(|(unit, _)| *unit == "opened").map(|(_, count)| *count).collect::<Vec<_>>()
    };
    let report = run(&its_keys());
    assert_eq!((report.worst(), opened(&report)), (None, vec![49]));

    let report = run(&its_keys().replace("c2VjcmV0LWtl", "c2VjcmV0LWtf"));
    let kinds: Vec<_> =
        report.findings.kinds().iter().map(|(_, code, grade, count, _)| (*code, *grade, *count)).collect();
    // One secret, written three times.
    assert_eq!(kinds, [("value-locked", Grade::Suspicious, 1), ("old-value-locked", Grade::Note, 2)]);
    assert_eq!(opened(&report), [46]);
    let keys = its_keys().replace(
        "aescbc: {keys: [{name: key1, secret: c2VjcmV0LWtleS1mb3ItYWVzY2JjLTMyLWJ5dGVzISE=}]}",
        "identity: {}",
    );
    let report = run(&keys);
    let kinds = report.findings.kinds();
    let (_, code, _, _, first) = kinds.first().expect("a finding");
    assert_eq!(*code, "value-locked");
    assert_eq!(
        first[0].found,
        "encrypted with aescbc, key key1: the rule for its resource has no such provider"
    );
}

proptest! {
    #[test]
    fn any_value_can_be_tried(
        config in prop::sample::select(vec!["wild-all", "cbc", "gcm-16", "box", "kms-both", "names-with-colons"]),
        header in prop::sample::select(vec![
            "", "k8s:enc:", "k8s:enc:aescbc:v1:k1:", "k8s:enc:aescbc:v1:a:b:", "k8s:enc:aesgcm:v1:g16:",
            "k8s:enc:aesgcm:v1:g32:", "k8s:enc:secretbox:v1:s1:", "k8s:enc:kms:v1:old:plugin:", "k8s:enc:kms:v2:plugin:",
        ]),
        payload: Vec<u8>,
        key: Vec<u8>,
    ) {
        let value = [header.as_bytes(), &payload].concat();
        let ring = keyring(config);
        // Nobody makes up a value that the authenticated ones take, nor an object in aescbc.
        if let Ok(opened) = ring.open(b"", b"secrets", &key, &value) {
            prop_assert!(!value.starts_with(b"k8s:enc:"));
            prop_assert_eq!(&*opened, &value[..]);
        }
        let _ = ring.open_at(&RegistryKey::parse(&key, &Prefixes::well_known()), &key, &value);
        let _ = Locked::without_configuration(&value).map(|locked| locked.to_string());
    }

    #[test]
    fn a_changed_value_never_opens_as_something_else(at: prop::sample::Index, bit in 0u8..8, cut: bool) {
        for name in ["by gcm-32", "by box"] {
            let (found, mut data) = stored(name);
            let at = at.index(data.len());
            if cut { data.truncate(at) } else { data[at] ^= 1 << bit }
            let opened = keyring("wild-all").open(b"", b"secrets", found.key.as_bytes(), &data).map(|plain| plain.to_vec());
            // A change in the first letters makes plain text of it, which is taken as such.
            prop_assert!(opened.is_err() || at < 8, "{name}, {at}");
        }
    }

    #[test]
    fn any_text_can_be_given_as_a_configuration(text in "[a-zA-Z0-9 :{}\\[\\],\n\"'&*!|>%-]{0,200}", bytes: Vec<u8>) {
        let _ = Keyring::parse(text.as_bytes());
        let _ = Keyring::parse(&bytes);
        let head = &VERDICTS.configs[0].text;
        let _ = Keyring::parse(format!("{head}{text}").as_bytes());
    }
}
