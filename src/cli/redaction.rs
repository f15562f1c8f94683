//! `--redact`: values that are not shown.

use std::collections::BTreeMap;
use std::env;

use clap::Args;

use etcdsnap::kube::manifest::redact::Redaction;
use etcdsnap::kube::select::arguments::Request;
use etcdsnap::kube::select::types::{TypeFault, Types};

use super::Context;
use super::commands::get::unknown;
use super::failure::Failure;
use super::output::size::grouped;
use super::output::text::safe;

/// Options of the commands that show objects.
#[derive(Debug, Clone, Args)]
pub(crate) struct Redact {
    /// Hide the values of Secrets, and of the types behind the =; their sizes stay
    ///
    /// `--redact` hides those of Secrets, `--redact=configmaps,widgets.example.com`
    /// also those of these types, named as to kubectl. Without the = a type behind it
    /// counts only where it cannot be something else that is asked for.
    #[arg(long, value_name = "TYPE,...", num_args = 0..=1, default_missing_value = SECRETS, require_equals = true, value_delimiter = ',')]
    redact: Vec<String>,
}

const SECRETS: &str = "secrets";

/// A word that stands right behind `--redact`, without `=` between. Whoever typed
/// it may have meant it for what is to be hidden; the grammar takes it for a word of
/// the command.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// What is to be hidden: nothing else could be meant.
    taken: Vec<String>,
    /// What may be meant so.
    doubtful: Vec<String>,
}

impl Behind {
    /// Refuses a word that names a type which is not hidden anyway.
    fn check(&self, types: &Types) -> Result<(), Failure> {
        for word in &self.doubtful {
            match types.find(word) {
                Ok(of) if !Redaction::secrets().concerns(of.group(), of.kind()) => {
                    return Err(Failure::usage(format!(
                        "--redact {word}: that could be a type to be hidden, or what is asked for"
                    ))
                    .hint(format!("to hide it: --redact={word}"))
                    .hint("to ask for it: put --redact behind all words"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Redact {
    /// Decides about a word behind `--redact`: it is taken from `words` if these
    /// stand only without it.
    pub(crate) fn split(
        &self,
        mut words: Vec<String>,
        stand: impl Fn(&[String]) -> bool,
    ) -> (Vec<String>, Behind) {
        let mut behind = Behind::default();
        for word in words_behind(env::args_os().map(|word| word.to_string_lossy().into_owned())) {
            let Some(place) = words.iter().rposition(|other| *other == word) else { continue };
            let mut rest = words.clone();
            rest.remove(place);
            if !stand(&words) && stand(&rest) {
                words = rest;
                behind.taken.push(word);
            } else {
                behind.doubtful.push(word);
            }
        }
        (words, behind)
    }

    /// The types that are named, for finding out what they mean.
    pub(crate) fn request(&self, behind: &Behind) -> Request {
        Request::All([&self.redact[..], &behind.taken, &behind.doubtful].concat())
    }

    /// What is hidden, if anything is.
    ///
    /// # Errors
    /// A type that is not there; a type behind `--redact` that could be asked for as
    /// well.
    pub(crate) fn redaction(&self, behind: &Behind, types: &Types) -> Result<Option<Redaction>, Failure> {
        if self.redact.is_empty() {
            return Ok(None);
        }
        behind.check(types)?;
        let mut redaction = Redaction::secrets();
        for typed in self.redact.iter().chain(&behind.taken) {
            let named = types.resolve(&Request::All(vec![typed.clone()]));
            for wanted in named.map_err(|fault| unknown(&fault))? {
                redaction = redaction.and(wanted.resource.group(), wanted.resource.kind());
            }
        }
        Ok(Some(redaction))
    }

    /// As [`redaction_of_a_value`](Self::redaction_of_a_value), where `words` are asked
    /// for as well.
    ///
    /// # Errors
    /// A type behind `--redact` that is among them.
    pub(crate) fn redaction_beside(&self, words: &[String]) -> Result<Option<Redaction>, Failure> {
        let (_, behind) = self.split(words.to_vec(), |_| true);
        behind.check(&Types::default())?;
        self.redaction_of_a_value()
    }

    /// As [`redaction`](Self::redaction), where there is no snapshot to look into:
    /// custom types are named by kind and group.
    ///
    /// # Errors
    /// A type that is neither built in nor named in that way.
    pub(crate) fn redaction_of_a_value(&self) -> Result<Option<Redaction>, Failure> {
        if self.redact.is_empty() {
            return Ok(None);
        }
        let types = Types::default();
        let add = |redaction: Redaction, typed: &String| {
            let custom = typed
                .split_once('.')
                .filter(|(kind, _)| kind.starts_with(|first: char| first.is_ascii_uppercase()));
            match (types.find(typed), custom) {
                (Ok(of), _) => Ok(redaction.and(of.group(), of.kind())),
                (Err(TypeFault::Unknown { .. }), Some((kind, group))) => Ok(redaction.and(group, kind)),
                (Err(fault), _) => Err(unknown(&fault).hint(
                    "a value tells only kind and group of a custom resource: --redact=Widget.example.com",
                )),
            }
        };
        self.redact.iter().try_fold(Redaction::secrets(), add).map(Some)
    }
}

/// Says of how many objects values were replaced, by type.
pub(crate) fn tell(context: &Context<'_>, redacted: &BTreeMap<String, u64>) {
    if !redacted.is_empty() {
        let each =
            redacted.iter().map(|(name, count)| format!("{} {}", grouped(*count), safe(name.as_bytes())));
        context.say(format_args!("redacted: {}", each.collect::<Vec<_>>().join(", ")));
    }
}

/// The words right behind a bare `--redact`.
fn words_behind(args: impl Iterator<Item = String>) -> Vec<String> {
    let mut behind = Vec::new();
    let mut is_behind = false;
    for word in args.take_while(|word| word != "--") {
        if is_behind && !word.starts_with('-') {
            behind.push(word.clone());
        }
        is_behind = word == "--redact";
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::words_behind;

    #[test]
    fn words_right_behind_are_found() {
        let behind = |line: &str| words_behind(line.split(' ').map(str::to_owned));
        assert_eq!(behind("get f cm --redact cm -A"), ["cm"]);
        assert_eq!(behind("get f cm --redact -A cm"), [""; 0]);
        assert_eq!(behind("get f cm --redact=cm x"), [""; 0]);
        assert_eq!(behind("get --redact f cm"), ["f"]);
        assert_eq!(behind("get f -- --redact cm"), [""; 0]);
        assert_eq!(behind("get f cm --redact"), [""; 0]);
    }
}
