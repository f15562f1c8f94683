//! Manifests one behind the other.

use std::io::{self, Write};

use etcdsnap::kube::value::Value;
use etcdsnap::kube::{json, yaml};

/// Forms of manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// Documents with `---` between
    Yaml,
    /// One List
    Json,
    /// One object per line
    Jsonl,
}

impl Form {
    /// Of files.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
        }
    }

    /// An object in a file of its own.
    pub(super) fn text(self, object: &Value<'_>) -> Vec<u8> {
        let mut text = Vec::new();
        match self {
            // What is read back is what was stored.
            Self::Yaml => yaml::write_exactly(object, &mut text),
            Self::Json => json::write(object, &mut text),
            Self::Jsonl => {
                json::write_compact(object, &mut text);
                text.push(b'\n');
            }
        }
        text
    }

    /// An object in a stream, without what stands between two.
    pub(super) fn item(self, object: &Value<'_>) -> Vec<u8> {
        match self {
            Self::Yaml | Self::Jsonl => self.text(object),
            Self::Json => {
                let mut text = b"        ".to_vec();
                json::write_at(object, 2, &mut text);
                text
            }
        }
    }
}

/// Where the items of a stream go.
pub(super) struct Stream<'o> {
    out: &'o mut (dyn Write + Send),
    form: Form,
    redacted: bool,
    begun: bool,
}

impl<'o> Stream<'o> {
    pub(super) fn new(out: &'o mut (dyn Write + Send), form: Form, redacted: bool) -> Self {
        Self { out, form, redacted, begun: false }
    }

    pub(super) fn put(&mut self, item: &[u8]) -> io::Result<()> {
        let before: &[u8] = match (self.form, self.begun) {
            (Form::Yaml, false) if self.redacted => {
                b"# Redacted: the values of Secrets are not in it. Not to be applied.\n"
            }
            (Form::Yaml, true) => b"---\n",
            (Form::Json, false) => b"{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n",
            (Form::Json, true) => b",\n",
            (Form::Yaml, false) | (Form::Jsonl, _) => b"",
        };
        self.begun = true;
        self.out.write_all(before)?;
        self.out.write_all(item)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match (self.form, self.begun) {
            (Form::Json, true) => self.out.write_all(b"\n    ],\n    \"kind\": \"List\"\n}\n"),
            (Form::Json, false) => self.out.write_all(
                b"{\n    \"apiVersion\": \"v1\",\n    \"items\": [],\n    \"kind\": \"List\"\n}\n",
            ),
            (Form::Yaml | Form::Jsonl, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(form: Form, redacted: bool, names: &[&'static str]) -> String {
        let mut out = Vec::new();
        let mut stream = Stream::new(&mut out, form, redacted);
        for name in names {
            let mut map = etcdsnap::kube::value::Map::default();
            map.insert("kind", Value::from(*name));
            stream.put(&form.item(&map.into())).expect("written");
        }
        stream.finish().expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn yaml_is_a_stream_of_documents() {
        assert_eq!(stream(Form::Yaml, false, &["A", "B"]), "kind: A\n---\nkind: B\n");
        assert_eq!(
            stream(Form::Yaml, true, &["A"]),
            "# Redacted: the values of Secrets are not in it. Not to be applied.\nkind: A\n"
        );
        assert_eq!(stream(Form::Yaml, true, &[]), "");
        assert_eq!(stream(Form::Jsonl, true, &["A", "B"]), "{\"kind\":\"A\"}\n{\"kind\":\"B\"}\n");
    }

    #[test]
    fn json_is_one_list() {
        for names in [&[][..], &["A"], &["A", "B"]] {
            let text = stream(Form::Json, false, names);
            let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let kinds: Vec<_> =
                list["items"].as_array().expect("a list").iter().map(|item| item["kind"].clone()).collect();
            assert_eq!(kinds, names, "{text}");
            assert_eq!((&list["kind"], &list["apiVersion"]), (&"List".into(), &"v1".into()));
            // As the writer of whole values would have it.
            let mut whole = Vec::new();
            json::write(&json::parse(text.as_bytes()).expect("JSON"), &mut whole);
            assert_eq!(text, String::from_utf8(whole).expect("text"));
        }
    }
}
