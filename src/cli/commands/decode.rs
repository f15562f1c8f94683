use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Read};

use etcdsnap::kube::encryption::{Locked, open};
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::object::{BY_NUMBER, Object, Options, Undecodable, by_number, raw};
use etcdsnap::kube::value::Value;
use etcdsnap::ops::reader::REASON;

use super::get::documents::Form;
use crate::cli::decryption::{Decryption, advice};
use crate::cli::failure::Failure;
use crate::cli::input::KubernetesKeys;
use crate::cli::output::text::safe;
use crate::cli::redaction::Redact;
use crate::cli::{Context, Outcome, redaction};

/// One stored value from stdin, as an object
///
/// Takes what `etcdctl get --print-value-only` or `etcdsnap value` print: protobuf,
/// JSON, CBOR, encrypted or not. A newline at the end is passed over. A kind that this
/// version does not know is shown by the numbers of its fields.
#[derive(Debug, clap::Args)]
// There are no words that a type could be taken for.
#[command(mut_arg("redact", |redact| redact.require_equals(false)))]
pub(crate) struct Decode {
    /// The etcd key that the value stood under; needed for values that are encrypted
    #[arg(long, value_name = "ETCDKEY")]
    key: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = DecodeFormat::Yaml)]
    output: DecodeFormat,
    /// Keep metadata.managedFields, which is left out otherwise
    #[arg(long)]
    show_managed_fields: bool,
    #[command(flatten)]
    redact: Redact,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
    #[command(flatten)]
    decryption: Decryption,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DecodeFormat {
    /// As `kubectl -o yaml`
    Yaml,
    /// As `kubectl -o json`
    Json,
    /// The object in a line of JSON
    Jsonl,
}

/// etcd takes no value that is longer, unless told so; ten times that is read.
const LIMIT: u64 = 15 << 20;

impl Decode {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let keyring = self.decryption.keyring(context)?;
        let redaction = self.redact.redaction_of_a_value()?;
        if io::stdin().is_terminal() {
            context.say("reading a value from the terminal; usually one is piped in: etcdctl get KEY --print-value-only | etcdsnap decode");
        }
        let mut stored = Vec::new();
        let read = io::stdin().lock().take(LIMIT + 1).read_to_end(&mut stored);
        read.map_err(|error| Failure::new(format!("cannot read stdin: {error}")))?;
        if stored.len() as u64 > LIMIT {
            return Err(Failure::no("stdin holds more than any value of etcd")
                .hint("give one value: etcdctl get KEY --print-value-only"));
        }
        let key = self.key.as_deref().unwrap_or_default().as_bytes();
        let prefixes = self.kubernetes.prefixes();
        let read = |stored: &[u8]| -> Result<(Value<'static>, Decoded), Failure> {
            let plain = open(keyring.as_ref(), &prefixes, key, stored)
                .map_err(|locked| self.locked(&locked, keyring.is_some()))?;
            self.decoded(stored, &plain)
        };
        let mut answer = None;
        let mut first = None;
        for stored in endings(&stored) {
            match read(stored) {
                // A value with an end of line behind it may look whole, but odd.
                Ok((value, decoded @ Decoded::Part(_))) => {
                    answer.get_or_insert((value, decoded));
                }
                Ok(object) => {
                    answer = Some(object);
                    break;
                }
                Err(failure) => {
                    first.get_or_insert(failure);
                }
            }
        }
        let Some((mut value, decoded)) = answer else {
            return Err(first.unwrap_or_else(|| unreadable(&Undecodable::Empty)));
        };
        let mut redacted = BTreeMap::new();
        if let Some(redaction) = &redaction {
            let name = value.text(&["kind"]).to_owned();
            if redaction.apply(&mut value) {
                redacted.insert(name, 1);
            }
        }
        let form = match self.output {
            DecodeFormat::Yaml => Form::Yaml,
            DecodeFormat::Json => Form::Json,
            DecodeFormat::Jsonl => Form::Jsonl,
        };
        let mut text = Vec::new();
        form.write(&value, &mut text);
        context.out.write_all(&text)?;
        context.out.flush()?;
        redaction::tell(context, &redacted);
        match decoded {
            Decoded::Whole => Ok(Outcome::Yes),
            Decoded::Part(what) => {
                context.say(format_args!("warning: {}", safe(what.as_bytes())));
                Ok(Outcome::No)
            }
        }
    }

    fn decoded(&self, stored: &[u8], plain: &[u8]) -> Result<(Value<'static>, Decoded), Failure> {
        let mut options = Options::default();
        if self.show_managed_fields {
            options.fields = FieldSet::all();
        }
        match Object::decode(plain, &options) {
            Ok(object) => {
                let notes = object.notes;
                let decoded =
                    if notes.is_empty() { Decoded::Whole } else { Decoded::Part(notes.to_string()) };
                Ok((object.value.into_owned(), decoded))
            }
            Err(why @ Undecodable::UnknownKind { .. }) => {
                let Some(fields) = by_number(plain) else { return Err(unreadable(&why)) };
                let mut object = raw(stored).into_owned();
                if let Some(map) = object.as_map_mut() {
                    let kind = raw(plain).into_owned();
                    for key in ["apiVersion", "kind"] {
                        map.insert(key, Value::from(kind.text(&[key]).to_owned()));
                    }
                    map.insert(BY_NUMBER, fields);
                    map.insert(REASON, Value::from(why.to_string()));
                }
                Ok((object, Decoded::Part(format!("{why}: its fields are shown by their numbers"))))
            }
            Err(why) => Err(unreadable(&why)),
        }
    }

    fn locked(&self, locked: &Locked<'_>, has_configuration: bool) -> Failure {
        let mut failure = Failure::no(locked.to_string());
        if !has_configuration || self.key.is_some() {
            failure = failure.hint(advice(locked.why));
        }
        if self.key.is_none() && locked.encrypted.is_some() {
            failure = failure.hint(
                "--key names the etcd key that the value stood under, as /registry/secrets/NAMESPACE/NAME: which rule and key open it depends on that",
            );
        }
        failure
    }
}

/// How much of a value is shown.
enum Decoded {
    Whole,
    /// Not all of it, or not as it should be.
    Part(String),
}

/// A value as it came, and without the end of line that etcdctl prints behind it,
/// which may be part of a value, too: what can be read as it is is taken as it is.
fn endings(stored: &[u8]) -> impl Iterator<Item = &[u8]> {
    let line = stored.strip_suffix(b"\n");
    let text = line.and_then(|line| line.strip_suffix(b"\r"));
    [Some(stored), line, text].into_iter().flatten()
}

fn unreadable(why: &Undecodable) -> Failure {
    let failure = Failure::no(format!("the value cannot be shown as an object: {why}"));
    match why {
        Undecodable::Empty => failure.hint("nothing came in: `etcdctl get KEY --print-value-only` prints a value, unless the key is not there"),
        Undecodable::Unrecognised => {
            failure.hint("values begin with k8s\\0, { or the marks of CBOR; terminals and editors damage bytes that are no text: pipe them")
        }
        _ => failure,
    }
}
