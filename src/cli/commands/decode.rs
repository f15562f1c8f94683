use std::io::{self, IsTerminal, Read};

use etcdsnap::kube::encryption::{Locked, Why};
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::notes::Notes;
use etcdsnap::kube::object::{Object, Options, Undecodable};
use etcdsnap::kube::registry_key::RegistryKey;
use etcdsnap::kube::value::Value;

use super::get::documents::Form;
use crate::cli::decryption::{Decryption, advice};
use crate::cli::failure::Failure;
use crate::cli::input::KubernetesKeys;
use crate::cli::output::text::safe;
use crate::cli::redaction::Redact;
use crate::cli::{Context, Outcome};

/// One stored value from stdin, as an object
///
/// Takes what `etcdctl get --print-value-only` or `etcdsnap value` print: protobuf,
/// JSON, CBOR, encrypted or not. A newline at the end is passed over.
#[derive(Debug, clap::Args)]
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
        let redaction = self.redact.redaction()?;
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
        let registry = RegistryKey::parse(key, &prefixes);
        let open = |stored: &[u8]| match &keyring {
            None => Locked::without_configuration(stored)
                .map_or_else(|| Ok(stored.to_vec()), |locked| Err((locked.to_string(), locked.why))),
            Some(_) if key.is_empty() && stored.starts_with(b"k8s:enc:") => Err((
                "the value is encrypted, and which rule and key open it depends on its etcd key".to_owned(),
                Why::NotCovered,
            )),
            Some(keyring) => match keyring.open_at(&registry, key, stored) {
                Ok(opened) => Ok(opened.into_bytes().into_owned()),
                Err(locked) if locked.encrypted.is_none() => Ok(stored.to_vec()),
                Err(locked) => Err((locked.to_string(), locked.why)),
            },
        };
        let mut answer = None;
        let mut first = None;
        for stored in endings(&stored) {
            match open(stored).map_err(|why| self.locked(why)).and_then(|plain| self.decoded(&plain)) {
                Ok(object) => {
                    answer = Some(object);
                    break;
                }
                Err(failure) => {
                    first.get_or_insert(failure);
                }
            }
        }
        let Some((mut value, notes)) = answer else {
            return Err(first.unwrap_or_else(|| unreadable(&Undecodable::Empty)));
        };
        if let Some(redaction) = &redaction {
            redaction.apply(&mut value);
        }
        let form = match self.output {
            DecodeFormat::Yaml => Form::Yaml,
            DecodeFormat::Json => Form::Json,
            DecodeFormat::Jsonl => Form::Jsonl,
        };
        let mut text = Vec::new();
        form.write(&value, &mut text);
        context.out.write_all(&text)?;
        if notes.is_empty() {
            return Ok(Outcome::Yes);
        }
        context.out.flush()?;
        context.say(format_args!("warning: {}", safe(notes.to_string().as_bytes())));
        Ok(Outcome::No)
    }

    fn decoded(&self, plain: &[u8]) -> Result<(Value<'static>, Notes), Failure> {
        let mut options = Options::default();
        if self.show_managed_fields {
            options.fields = FieldSet::all();
        }
        let object = Object::decode(plain, &options).map_err(|why| unreadable(&why))?;
        Ok((object.value.into_owned(), object.notes))
    }

    fn locked(&self, (what, why): (String, Why)) -> Failure {
        let failure = Failure::no(what);
        if self.key.is_none() {
            return failure.hint(
                "--key names the etcd key that the value stood under, as /registry/secrets/NAMESPACE/NAME",
            );
        }
        failure.hint(advice(why))
    }
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
