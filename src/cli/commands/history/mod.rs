//! `history`: what became of one key.

mod shown;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use etcdsnap::bolt::Db;
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::object::Options;
use etcdsnap::kube::registry_key::RegistryKey;
use etcdsnap::kube::select::arguments::Request;
use etcdsnap::kube::select::types::Types;
use etcdsnap::ops::history::{KeyHistory, history};
use etcdsnap::ops::objects::Place;
use etcdsnap::ops::reader::Reader;
use etcdsnap::ops::{OpError, Settings, prepare};

use self::shown::Shown;
use super::get::{path, store, unknown};
use super::keys::skipped;
use crate::cli::decryption::Decryption;
use crate::cli::failure::Failure;
use crate::cli::input::{self, HexBytes, KubernetesKeys, Reading, Threads};
use crate::cli::output::text::safe;
use crate::cli::redaction::Redact;
use crate::cli::{Context, Outcome, progress};

/// What became of one object or key
///
/// Every write of it that the snapshot still has, deletions included; with --patch
/// also what each one changed. What was compacted away before is only counted.
/// KEY is a key as etcd has it, and begins with a slash; --key takes any.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap history [OPTIONS] FILE TYPE[.VERSION][.GROUP]/NAME
       etcdsnap history [OPTIONS] FILE TYPE[.VERSION][.GROUP] NAME
       etcdsnap history [OPTIONS] FILE KEY")]
pub(crate) struct History {
    /// The snapshot, and what it is about
    #[arg(value_name = "FILE TYPE/NAME")]
    words: Vec<OsString>,
    /// The namespace of the object [default: default]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// A key as etcd has it
    #[arg(long, value_name = "KEY", conflicts_with = "key_hex")]
    key: Option<OsString>,
    /// A key as hexadecimal digits (`keyHex` of `keys -o json`): for bytes that no
    /// command line can hold
    #[arg(long, value_name = "HEX", value_parser = input::bytes_of_hex)]
    key_hex: Option<HexBytes>,
    /// Also what each write changed, field by field
    #[arg(short, long)]
    patch: bool,
    /// With --patch: values of Secrets, which are hidden otherwise
    #[arg(long, requires = "patch", conflicts_with = "redact")]
    show_secrets: bool,
    /// With --patch: also changes of metadata.managedFields
    #[arg(long, requires = "patch")]
    show_managed_fields: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = HistoryFormat::Table)]
    output: HistoryFormat,
    #[command(flatten)]
    redact: Redact,
    #[command(flatten)]
    decryption: Decryption,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum HistoryFormat {
    /// A row for each write, its changes below
    Table,
    /// One document
    Json,
    /// A line for each write
    Jsonl,
}

/// What is asked for.
struct Subject {
    /// What it is called in messages.
    name: String,
    /// The keys that it may have.
    keys: Vec<Vec<u8>>,
    /// Whether the namespace was chosen for want of one.
    in_default: bool,
}

impl Subject {
    fn of_key(key: &[u8]) -> Self {
        Self { name: safe(key), keys: vec![key.to_vec()], in_default: false }
    }
}

impl History {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.reading.split(&self.words)?;
        let keyring = self.decryption.keyring(context)?;
        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        let db = snapshot.db().map_err(OpError::from)?;
        let fields = if self.show_managed_fields { FieldSet::all() } else { Options::default().fields };
        let reader = Reader {
            keys: keyring.as_ref(),
            options: Options { fields, ..Options::default() },
            prefixes: self.kubernetes.prefixes(),
            ..Reader::default()
        };
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let (words, behind_redact) =
            self.redact.split(words, |words| self.key_of(words).is_some() || Request::parse(words).is_ok());
        let subject_key = self.key_of(&words);
        if subject_key.is_some() && self.namespace.is_some() {
            return Err(Failure::usage("--namespace has no meaning for a key").hint("leave it out"));
        }
        if subject_key.is_none() && (self.key.is_some() || self.key_hex.is_some()) {
            return Err(Failure::usage("a key and an object were given").hint("leave out one of them"));
        }
        let request = match &subject_key {
            Some(_) => None,
            None => Some(request(&words)?),
        };
        let for_redaction = self.redact.request(&behind_redact);
        let requests: Vec<&Request> = request.iter().chain([&for_redaction]).collect();
        let (types, unread) = store::types(&db, Some(&requests), false, &reader, None, &settings)?;
        let definitions = unread.tell_of_definitions(context);
        let subject = match (&subject_key, &request) {
            (Some(key), _) => Subject::of_key(key),
            (None, Some(request)) => self.object(request, &types, &reader)?,
            (None, None) => return Err(nothing_asked()),
        };
        let redaction = if self.show_secrets {
            None
        } else {
            Some(self.redact.redaction(&behind_redact, &types)?.unwrap_or_default())
        };

        prepare(&snapshot, settings.threads);
        let found = self.find(context, &db, &subject, &settings, snapshot.source().bytes().len() as u64)?;
        if found.records.is_empty() {
            skipped(context, &found.damage)?;
            return Err(self.not_there(&subject, &found));
        }
        let shown = Shown::new(&found, &reader, redaction.as_ref(), self.patch);
        match self.output {
            HistoryFormat::Table => shown.table(context.out)?,
            HistoryFormat::Json => shown.json(context.out)?,
            HistoryFormat::Jsonl => shown.lines(context.out)?,
        }
        snapshot.source().finish()?;
        context.out.flush()?;
        shown.tell(context);
        let outcome = skipped(context, &found.damage)?;
        Ok(outcome.max(definitions).max(if shown.all_shown() { Outcome::Yes } else { Outcome::No }))
    }

    /// The key, if that is what is asked for.
    fn key_of(&self, words: &[String]) -> Option<Vec<u8>> {
        match (&self.key, &self.key_hex, words) {
            (Some(key), _, []) => Some(key.as_bytes().to_vec()),
            (None, Some(hex), []) => Some(hex.bytes().to_vec()),
            // Of the words as they are, which need not be text.
            (None, None, [word]) if word.starts_with('/') => {
                let last = self.words.last().filter(|last| last.to_string_lossy() == word.as_str());
                Some(last.map_or_else(|| word.as_bytes().to_vec(), |last| last.as_bytes().to_vec()))
            }
            _ => None,
        }
    }

    /// Where the one object is that is asked for.
    fn object(&self, request: &Request, types: &Types, reader: &Reader<'_>) -> Result<Subject, Failure> {
        let mut wanted = types.resolve(request).map_err(|fault| unknown(&fault))?.into_iter();
        let (Some(one), None) = (wanted.next(), wanted.next()) else { return Err(nothing_asked()) };
        let Some([name]) = one.names.as_deref() else { return Err(nothing_asked()) };
        let of = one.resource;
        let path = path(of)
            .ok_or_else(|| Failure::no(format!("{}: they are not stored in etcd", of.full_name())))?;
        let given = self.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace = of.namespaced().then(|| given.unwrap_or("default").to_owned());
        let place = match &namespace {
            Some(namespace) => format!(" in namespace {}", safe(namespace.as_bytes())),
            None => String::new(),
        };
        Ok(Subject {
            name: format!("{} {}{place}", of.full_name(), safe(name.as_bytes())),
            keys: Place { path, namespace }.keys(&reader.prefixes, name),
            in_default: of.namespaced() && given.is_none(),
        })
    }

    fn find<'a>(
        &self,
        context: &mut Context<'_>,
        db: &Db<'a>,
        subject: &Subject,
        settings: &Settings<'_>,
        total: u64,
    ) -> Result<KeyHistory<'a>, Failure> {
        let mut found = progress::watch(context, "reading", total, progress::walked, || {
            history(db, &subject.keys, settings)
        })?;
        // Of several prefixes the one that was written to last.
        if let Some(newest) = found.records.last().map(|record| record.kv.key) {
            found.records.retain(|record| record.kv.key == newest);
        }
        Ok(found)
    }

    fn not_there(&self, subject: &Subject, found: &KeyHistory<'_>) -> Failure {
        if !found.damage.is_empty() {
            return Failure::no(format!("{}: not among what can be read of this file", subject.name))
                .hint("what cannot be read may hold it: `etcdsnap salvage` and `etcdsnap carve` look there");
        }
        let oldest = found.window.oldest();
        let failure =
            Failure::no(format!("{}: it is not there, and was not since revision {oldest}", subject.name))
                .hint("`etcdsnap carve FILE` finds what the file still holds of older writes");
        if subject.in_default {
            return failure.hint("only namespace default was looked at; -n names another one");
        }
        match subject.keys.first().map(|key| RegistryKey::parse(key, &self.kubernetes.prefixes())) {
            Some(RegistryKey::Object(_)) => failure.hint("`etcdsnap list FILE TYPE` has the names there are"),
            _ => failure.hint("`etcdsnap keys FILE PREFIX` has the keys there are"),
        }
    }
}

fn request(words: &[String]) -> Result<Request, Failure> {
    if words.is_empty() {
        return Err(nothing_asked());
    }
    let request = Request::parse(words).map_err(|error| Failure::usage(error.to_string()).hint(EXAMPLES))?;
    let one = match &request {
        Request::All(_) => false,
        Request::Named(_, names) => names.len() == 1,
        Request::Pairs(pairs) => pairs.len() == 1,
    };
    if one { Ok(request) } else { Err(nothing_asked()) }
}

fn nothing_asked() -> Failure {
    Failure::usage("one object or one key is wanted").hint(EXAMPLES)
}

const EXAMPLES: &str = "`etcdsnap history FILE pod/web-1 -n shop`, `etcdsnap history FILE /registry/pods/shop/web-1`; --key KEY takes any key";
