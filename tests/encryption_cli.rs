//! Key files on the command line: `encryption`, and `--encryption-config` of the
//! commands that read values.

mod harness;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use harness::{Answer, ask, fixture, fixtures, make_snapshot};

const ENCRYPTED: &str = "k8s-1.35-etcd-3.5-encrypted";
const SECRET: &str = "/registry/secrets/shop/db-pass";

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// The key file of the encrypted fixture, changed.
fn keys(place: &TempDir, change: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(fixtures().join("snapshots/encryption-config.yaml")).expect("keys");
    for (old, new) in change {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    written(place.path(), &text)
}

fn written(place: &Path, text: &str) -> String {
    let path = place.join("keys.yaml");
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
    path.to_str().expect("UTF-8").to_owned()
}

fn with_keys(args: &[&str], keys: &str) -> Answer {
    ask(&[args, &["--encryption-config", keys]].concat())
}

#[test]
fn an_audit_without_keys_tells_which_are_needed() {
    let answer = ask(&["encryption", &fixture(ENCRYPTED)]).exits(0);
    assert_eq!(answer.err, "");
    let answer = answer
        .says("revision 302, 255 objects, 42 encrypted")
        .says("secrets               aescbc      key1   1\n")
        .says("213 objects of 35 other resources in plain text")
        .says("ENCRYPTED: ")
        .says("aescbc key1, aesgcm g1 and secretbox sb1");
    assert!(!answer.text().contains("endpoints"));
    ask(&["encryption", "-v", &fixture(ENCRYPTED)]).exits(0).says("\nendpoints  ");
    ask(&["encryption", &fixture("k8s-1.35-etcd-3.6")])
        .exits(0)
        .says("secrets    plain text   -     1\n")
        .says("NOT ENCRYPTED: ")
        .says("its 1 secret.");
    let json = ask(&["encryption", "-o", "json", &fixture(ENCRYPTED)]).exits(0).json();
    assert_eq!(
        (&json["schemaVersion"], &json["values"], &json["encrypted"]),
        (&1.into(), &255.into(), &42.into())
    );
    for field in ["opensAll", "locked", "keys"] {
        assert!(json.get(field).is_none(), "{field}");
    }
}

#[test]
fn the_right_key_file_opens_all_and_exits_0() {
    let place = place();
    let keys = keys(&place, &[]);
    let file = fixture(ENCRYPTED);
    let answer = with_keys(&["encryption", &file], &keys).exits(0);
    assert_eq!(answer.err, "");
    answer
        .says("YES: this key file opens all 42 objects that are encrypted.")
        .says("secretbox sb1     37       resources[1].providers[0].secretbox.keys[0]");
    with_keys(&["encryption", "--all-revisions", &file], &keys).exits(0).says("all 49 values");
    let json = with_keys(&["encryption", "-o", "json", &file], &keys).exits(0).json();
    assert_eq!(json["opensAll"], true);
    assert_eq!(json["locked"], serde_json::json!([]));
    let opened: Vec<_> = json["keys"].as_array().expect("a list").iter().map(|key| &key["opened"]).collect();
    assert_eq!(opened, [1, 37, 4]);
    with_keys(&["encryption", &fixture("k8s-1.35-etcd-3.6")], &keys)
        .exits(0)
        .says("NOTHING TO OPEN: ")
        .says("would be encrypted now")
        .says("none, not needed for this backup");
}

#[test]
fn a_wrong_key_file_exits_1_and_names_what_stays_closed_and_why() {
    let place = place();
    let file = fixture(ENCRYPTED);
    let wrong = keys(
        &place,
        &[("name: sb1", "name: sb2"), ("c2VjcmV0LWtl", "c2VjcmV0LWtf"), ("serviceaccounts, ", "")],
    );
    with_keys(&["encryption", &file], &wrong)
        .exits(1)
        .says("LOCKED: 37 objects of configmaps, secretbox sb1\n  Why: the rule for its resource has no key of that name.\n")
        .says("  and 34 more\n")
        .says("the secret of `sb2` (resources[1].providers[0].secretbox.keys[0]) is the right one. List it as secretbox sb1 in the rule for configmaps.")
        .says("LOCKED: 1 object of secrets, aescbc key1\n  Why: the key of that name does not open it")
        .says("LOCKED: 1 object of serviceaccounts, aesgcm g1\n  Why: no rule of the configuration is for its resource.")
        .says("NO: 39 objects (configmaps, secrets and serviceaccounts) cannot be read with this key file.");
    let json = with_keys(&["encryption", "-o", "json", &file], &wrong).exits(1).json();
    assert_eq!(json["opensAll"], false);
    let first = &json["locked"][0];
    assert_eq!(
        (&first["why"], &first["keyName"], &first["count"]),
        (&"no-key".into(), &"sb1".into(), &37.into())
    );
    assert_eq!(first["rightKey"]["name"], "sb2");
    assert_eq!(first["examples"].as_array().map(Vec::len), Some(37));
}

#[test]
fn values_come_in_plain_text_only_with_the_right_keys() {
    let place = place();
    let file = fixture(ENCRYPTED);
    let stored = ask(&["value", &file, SECRET]).exits(0);
    assert!(stored.out.starts_with(b"k8s:enc:aescbc:v1:key1:"));
    let right = keys(&place, &[]);
    let plain = with_keys(&["value", &file, SECRET], &right).exits(0);
    assert!(plain.out.starts_with(b"k8s\0"));
    let json = with_keys(&["value", &file, SECRET, "-o", "json"], &right).exits(0).json();
    assert_eq!(json["openedBy"], serde_json::json!({"provider": "aescbc", "keyName": "key1"}));
    assert_eq!(json["valueSize"], stored.out.len(), "as it is stored");
    // What is not encrypted comes as before.
    let namespace = "/registry/namespaces/shop";
    let before = ask(&["value", &file, namespace]).exits(0).out;
    assert!(with_keys(&["value", &file, namespace], &right).exits(0).out == before);

    let wrong = keys(&place, &[("c2VjcmV0LWtl", "c2VjcmV0LWtf")]);
    let answer = with_keys(&["value", &file, SECRET], &wrong).refuses(1);
    assert_eq!(answer.text(), "");
    answer.says("db-pass: encrypted with aescbc, key key1: the key of that name does not open it");
    let renamed = keys(&place, &[("name: key1", "name: key2")]);
    with_keys(&["value", &file, SECRET], &renamed).refuses(1).says("the secret of \"key2\"");
}

#[test]
fn verify_looks_into_values_with_keys() {
    let place = place();
    let file = fixture(ENCRYPTED);
    with_keys(&["verify", &file], &keys(&place, &[]))
        .exits(0)
        .says("49 encrypted, 49 opened")
        .says("SOUND: ");
    let wrong = keys(&place, &[("name: g1", "name: g2")]);
    with_keys(&["verify", &file], &wrong)
        .exits(1)
        .says("suspicious: value-locked (kubernetes, 4 times)")
        .says("encrypted with aesgcm, key g1: the rule for its resource has no key of that name")
        .says("\nLOCKED: ");
    let json = with_keys(&["verify", "-o", "json", &file], &wrong).exits(1).json();
    assert_eq!(json["files"][0]["verdict"], "locked");
}

#[test]
fn a_key_file_that_cannot_be_used_is_named_without_its_secrets() {
    let place = place();
    let file = fixture(ENCRYPTED);
    let refuse = |text: &str, words: &str| {
        let keys = written(place.path(), text);
        for command in [&["encryption", &file][..], &["verify", &file], &["value", &file, SECRET]] {
            let answer = with_keys(command, &keys).refuses(2).says(&keys).says(words);
            assert_eq!(answer.text(), "");
            assert!(!answer.err.contains("c2VjcmV0"), "{}", answer.err);
        }
    };
    let right = fs::read_to_string(fixtures().join("snapshots/encryption-config.yaml")).expect("keys");
    refuse("", "it is empty");
    refuse("kind: Secret\napiVersion: v1\n", "expected `kind: EncryptionConfiguration`");
    refuse(&right.replace("aescbc", "aesctr"), "line 6, column 5: ");
    refuse(
        &right.replace("ISE=", "I!E="),
        "resources[0].providers[0].aescbc.keys[0].secret: it is not base64",
    );
    refuse(
        &right.replace("name: key1, secret: ", ""),
        "line 6, column 22: resources[0].providers[0].aescbc.keys[0]: unknown field, expected `name` or `secret`",
    );
    refuse(&"#".repeat((1 << 20) + 1), "too large");
    let snapshot = with_keys(&["encryption", &file], &file).refuses(2);
    assert!(snapshot.err.lines().all(|line| line.len() < 400), "{}", snapshot.err);
    with_keys(&["encryption", &file], "/nowhere/keys.yaml").refuses(2).says("/nowhere/keys.yaml");
}

#[test]
fn a_key_file_that_everyone_can_read_is_remarked() {
    let place = place();
    let file = fixture(ENCRYPTED);
    let keys = keys(&place, &[]);
    fs::set_permissions(&keys, Permissions::from_mode(0o644)).expect("set");
    with_keys(&["encryption", &file], &keys)
        .exits(0)
        .says("note: every user of this machine can read the keys in ");
    assert_eq!(with_keys(&["encryption", "-q", &file], &keys).exits(0).err, "");
}

/// A value in the form of KMS v2: ciphertext, key id, wrapped key.
fn kms(plugin: &str, id: &str) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        [&[number << 3 | 2, u8::try_from(bytes.len()).expect("short")][..], bytes].concat()
    };
    let message = [field(1, b"ciphertext"), field(2, id.as_bytes()), field(3, b"wrapped")].concat();
    [format!("k8s:enc:kms:v2:{plugin}:").as_bytes(), &message].concat()
}

#[test]
fn values_of_a_kms_are_counted_by_plugin_and_key() {
    let place = place();
    let file = place.path().join("kms.db");
    let (first, second) = (kms("vault", "key-2024"), kms("vault", "key-2025"));
    make_snapshot(
        &file,
        &[
            (b"/registry/secrets/ns/a", &first),
            (b"/registry/secrets/ns/b", &second),
            (b"/registry/secrets/ns/c", &second),
            (b"/registry/secrets/ns/d", b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\0"),
        ],
    );
    let file = file.to_str().expect("UTF-8");
    ask(&["encryption", file])
        .exits(0)
        .says("secrets    kms v2       vault, key key-2025   2\n")
        .says("secrets    plain text   -                     1\n")
        .says("ENCRYPTED: without their keys (kms v2 vault, key key-2024 and kms v2 vault, key key-2025) 3 objects");
    let json = ask(&["encryption", "-o", "json", file]).exits(0).json();
    let row = &json["resources"][0];
    assert_eq!(
        (&row["provider"], &row["kmsPlugin"], &row["kmsKeyId"]),
        (&"kms v2".into(), &"vault".into(), &"key-2024".into())
    );
    assert_eq!(json["resources"][2]["provider"], "identity");
    let head = "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n- resources: [secrets]\n  providers:\n";
    let kms_first = format!("{head}  - kms: {{apiVersion: v2, name: vault, endpoint: 'unix:///x'}}\n");
    let keys = written(place.path(), &format!("{kms_first}  - identity: {{}}\n"));
    with_keys(&["encryption", file], &keys)
        .exits(1)
        .says("NOT BY ITSELF: 3 objects (secrets)")
        .says("would be encrypted now");
    with_keys(&["verify", file], &keys).exits(0).says("note: value-locked-by-kms (kubernetes, 3 times)");
    // A server refuses plain text without `identity`, and it can be read all the same.
    let keys = written(place.path(), &kms_first);
    with_keys(&["encryption", file], &keys)
        .exits(1)
        .says("REFUSED")
        .says("add `- identity: {}` as the last provider");
    assert!(with_keys(&["value", file, "/registry/secrets/ns/d"], &keys).exits(0).out.starts_with(b"k8s\0"));
    let keys = written(place.path(), &format!("{head}  - identity: {{}}\n"));
    with_keys(&["encryption", file], &keys)
        .exits(1)
        .says("NO: 3 objects (secrets)")
        .says("has no such provider");
}

#[test]
fn names_in_headers_never_reach_the_terminal_raw() {
    let place = place();
    let file = place.path().join("nasty.db");
    let nasty = "n\u{1b}[31m\nfake line\u{202e}";
    let values: Vec<Vec<u8>> = vec![
        format!("k8s:enc:aescbc:v1:{nasty}:0123456789abcdef").into_bytes(),
        format!("k8s:enc:{nasty}:v1:key:0123456789abcdef").into_bytes(),
        kms(nasty, nasty),
        format!("k8s:enc:{nasty}").into_bytes(),
    ];
    let puts: Vec<(Vec<u8>, &[u8])> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            (format!("/registry/secrets/ns/{index}\u{1b}[31m").into_bytes(), value.as_slice())
        })
        .collect();
    let puts: Vec<(&[u8], &[u8])> = puts.iter().map(|(key, value)| (key.as_slice(), *value)).collect();
    make_snapshot(&file, &puts);
    let file = file.to_str().expect("UTF-8");
    let keys = keys(&place, &[]);
    let mut answers = vec![ask(&["encryption", file]), ask(&["encryption", "-o", "json", file])];
    for args in [
        &["encryption", file][..],
        &["encryption", "-o", "json", file],
        &["verify", file],
        &["verify", "-o", "json", file],
    ] {
        answers.push(with_keys(args, &keys).exits(1));
    }
    for (key, _) in &puts {
        answers.push(with_keys(&["value", file, std::str::from_utf8(key).expect("text")], &keys).refuses(1));
    }
    for answer in answers {
        for text in [answer.text(), &answer.err] {
            assert!(
                !text.contains(['\u{1b}', '\u{202e}']) && !text.contains("\nfake line"),
                "{}\n{text}",
                answer.asked
            );
        }
    }
}
