//! Flags of `kubectl get` that ask for what a file has not: they are answered with
//! the nearest thing there is. Some make no difference here and are taken.

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::switch::switch;

/// All of them are hidden: whoever types them knows them from kubectl.
#[derive(Debug, Args)]
pub(super) struct Elsewhere {
    #[arg(short, long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", value_parser = switch)]
    watch: bool,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", value_parser = switch)]
    watch_only: bool,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", value_parser = switch)]
    output_watch_events: bool,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "true", value_parser = switch)]
    server_print: bool,
    /// Everything is at hand: lists never come in pieces.
    #[arg(long, hide = true, value_name = "N", allow_negative_numbers = true, overrides_with = "chunk_size")]
    chunk_size: Option<i64>,
    #[arg(long, hide = true, value_name = "TEMPLATE")]
    template: Option<String>,
    #[arg(long, hide = true, value_name = "URI")]
    raw: Option<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    subresource: Option<String>,
    #[arg(long, hide = true, value_name = "MANIFEST")]
    filename: Option<String>,
    #[arg(short = 'k', long, hide = true, value_name = "DIR")]
    kustomize: Option<String>,
    #[arg(short = 'R', long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", value_parser = switch)]
    recursive: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// Which cluster is asked, and as whom.
#[derive(Debug, Args)]
struct Cluster {
    #[arg(long, hide = true, value_name = "NAME")]
    context: Option<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    cluster: Option<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    kubeconfig: Option<String>,
    #[arg(short, long, hide = true, value_name = "URL")]
    server: Option<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    user: Option<String>,
    #[arg(long = "as", hide = true, value_name = "NAME")]
    impersonated: Option<String>,
    /// Nothing is asked over a network.
    #[arg(long, hide = true, value_name = "TIME")]
    request_timeout: Option<String>,
}

impl Cluster {
    fn named(&self) -> Option<&'static str> {
        let options = [
            ("--context", &self.context),
            ("--cluster", &self.cluster),
            ("--kubeconfig", &self.kubeconfig),
            ("--server", &self.server),
            ("--user", &self.user),
            ("--as", &self.impersonated),
        ];
        options.into_iter().find(|(_, typed)| typed.is_some()).map(|(name, _)| name)
    }
}

impl Elsewhere {
    /// Refuses what cannot be had.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.watch || self.watch_only || self.output_watch_events {
            return Err(Failure::usage("--watch: a file does not change")
                .hint("`etcdsnap get` shows what is in it; --rev N shows it as it was before"));
        }
        if let Some(option) = self.cluster.named() {
            return Err(Failure::usage(format!("{option}: no cluster is asked, but a file"))
                .hint("name the snapshot as the first word, and a namespace with -n"));
        }
        if self.filename.is_some() || self.kustomize.is_some() || self.recursive {
            return Err(Failure::usage("types and names are not taken from manifests")
                .hint("name them: `etcdsnap get FILE pod/web-1 svc/web`"));
        }
        if self.template.is_some() {
            return Err(Failure::usage("Go templates are not understood").hint(super::format::NO_TEMPLATES));
        }
        if self.raw.is_some() {
            return Err(Failure::usage("--raw: there is no server that answers to a URI").hint(
                "`etcdsnap get FILE TYPE -o json` is what most of them answer; `etcdsnap value FILE KEY` gives the stored bytes",
            ));
        }
        if let Some(subresource) = &self.subresource {
            return Err(Failure::usage(format!(
                "--subresource: {subresource} is not stored apart from its object"
            ))
            .hint("-o jsonpath='{.status}' shows the status, -o yaml all of the object"));
        }
        if !self.server_print {
            return Err(Failure::usage("--server-print=false: there is no server that could print").hint(
                "-o custom-columns=NAME:.metadata.name,CREATED:.metadata.creationTimestamp shows little more than names",
            ));
        }
        // Taken, and without an effect.
        let _ = (&self.chunk_size, &self.cluster.request_timeout);
        Ok(())
    }
}
