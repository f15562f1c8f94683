//! `--redact`: values that are not shown.

use clap::Args;

use etcdsnap::kube::manifest::redact::Redaction;
use etcdsnap::kube::resources::Resource;

use super::failure::Failure;

/// Options of the commands that show objects.
#[derive(Debug, Clone, Args)]
pub(crate) struct Redact {
    /// Hide the values of Secrets, and of the types named; their sizes stay
    #[arg(long, value_name = "TYPE,...", num_args = 0..=1, default_missing_value = "secrets", require_equals = true, value_delimiter = ',')]
    redact: Vec<String>,
}

impl Redact {
    /// What is hidden, if anything is.
    ///
    /// # Errors
    /// A type that is not built in; custom ones are named by kind and group.
    pub(crate) fn redaction(&self) -> Result<Option<Redaction>, Failure> {
        if self.redact.is_empty() {
            return Ok(None);
        }
        let add = |redaction: Redaction, typed: &String| {
            let custom = typed
                .split_once('.')
                .filter(|(kind, _)| kind.starts_with(|first: char| first.is_ascii_uppercase()));
            match (Resource::find(typed), custom) {
                (Some(of), _) => Ok(redaction.and(of.group, of.kind)),
                (None, Some((kind, group))) => Ok(redaction.and(group, kind)),
                (None, None) => Err(Failure::usage(format!(
                    "--redact={typed}: there is no built-in resource type of that name"
                ))
                .hint("custom resources are named by kind and group: --redact=Widget.example.com")),
            }
        };
        self.redact.iter().try_fold(Redaction::secrets(), add).map(Some)
    }
}
