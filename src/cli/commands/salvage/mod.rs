mod document;
mod page;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use etcdsnap::bolt::OpenError;
use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::etcd::snapshot::FileKind;
use etcdsnap::kube::registry_key::{Prefixes, RegistryKey};
use etcdsnap::ops::salvage::{Plan, SalvageError, Saved, plan};
use etcdsnap::ops::verify::Options;
use etcdsnap::ops::whole_file::absent;
use etcdsnap::source::Source;

use super::{PageFormat, write_json};
use crate::cli::failure::{Failure, advice, kind_name};
use crate::cli::input::{KubernetesKeys, Opening, Threads};
use crate::cli::output::text::{safe, shown};
use crate::cli::{Context, Outcome, progress};

use document::Document;

/// Make a clean snapshot of what is left of a damaged one
///
/// What the tree still vouches for is taken as it is. For the revisions that it lost,
/// the whole file is searched for pages and records by their form. The result is a
/// snapshot without damage, with its digest, which is verified before it appears as
/// OUT; what was lost and what is doubtful is told key by key (-v, or -o json). FILE is
/// never written to. Exit code 0: nothing was lost; 1: something was, or is doubtful,
/// and OUT was written; 2: nothing could be saved.
#[derive(Debug, clap::Args)]
pub(crate) struct Salvage {
    /// A damaged snapshot, or a copy of a member's db file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The new snapshot
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Say what could be saved, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
}

impl Salvage {
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        vec![self.file.clone()]
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        absent(&self.out)?;
        let source = self.opening.source(context, &self.file)?;
        let settings = self.threads.settings(context);
        let options = Options { prefixes: self.kubernetes.prefixes(), ..Options::default() };
        let total = source.bytes().len() as u64;
        // What the digest is computed of is what is looked through beside it.
        let hashed = |progress: &etcdsnap::ops::Progress| progress.hashed.load(Ordering::Relaxed);
        let plan =
            progress::watch(context, "searching", total, hashed, || plan(&source, &options, &settings))
                .map_err(|error| self.failure(error, &source))?;
        let written = if self.dry_run {
            None
        } else {
            let done = |progress: &etcdsnap::ops::Progress| progress.written.load(Ordering::Relaxed);
            let written = progress::watch(context, "writing", plan.size(), done, || {
                plan.write(&self.out, &options, &settings)
            });
            Some(written.map_err(|error| self.failure(error, &source))?)
        };
        if written.is_some() {
            context.wrote(&self.out);
        }
        let told = self.tell(context, &plan, written.as_ref());
        let is_sound = written.as_ref().is_none_or(|saved| saved.is_sound);
        let told = told.and_then(|()| context.out.flush().map_err(Failure::from));
        told.map_err(|failure| match written {
            Some(_) => failure.hint(format!("{} was written all the same", shown(&self.out))),
            None => failure,
        })?;
        // Bytes that were changed, and no fault that explains it: any value may have them.
        let unexplained =
            plan.report.sound && matches!(plan.report.digest, Some(DigestVerdict::Differs { .. }));
        let whole = plan.report.is_complete() && plan.report.undecodable.is_empty() && !unexplained;
        Ok(if whole && is_sound { Outcome::Yes } else { Outcome::No })
    }

    fn tell(
        &self,
        context: &mut Context<'_>,
        plan: &Plan<'_>,
        written: Option<&Saved>,
    ) -> Result<(), Failure> {
        let names = Names { prefixes: self.kubernetes.prefixes() };
        match self.output {
            PageFormat::Json => {
                let document = Document::of(&plan.report, &names, &self.file, &self.out, written);
                write_json(context.out, &document)
            }
            PageFormat::Text => {
                let page =
                    page::Page { report: &plan.report, names: &names, file: &self.file, out: &self.out };
                page.write(context.out, written, context.global.verbose)
            }
        }
    }

    fn failure(&self, error: SalvageError, source: &Source) -> Failure {
        let kind = FileKind::of(source.bytes()).filter(|_| matches!(error, SalvageError::Nothing { .. }));
        let Some(kind) = kind else { return error.into() };
        let path = self.file.display().to_string();
        let failure = Failure::new(format!("{path}: nothing to save: it is {}", kind_name(kind)));
        match advice(&OpenError::Empty, Some(kind), &self.file) {
            Some(advice) => failure.hint(advice),
            None => failure.hint("name a snapshot, or a copy of a member's db file"),
        }
    }
}

/// How keys are named.
pub(super) struct Names {
    prefixes: Prefixes,
}

impl Names {
    /// `pods shop/web-1`, if the key is an object's.
    pub(super) fn object(&self, key: &[u8]) -> Option<String> {
        let parsed = RegistryKey::parse(key, &self.prefixes);
        let object = parsed.object()?;
        let mut name = safe(object.resource);
        if let Some(group) = object.group.filter(|group| !group.is_empty()) {
            name.push('.');
            name.push_str(&safe(group));
        }
        name.push(' ');
        if let Some(namespace) = object.namespace {
            name.push_str(&safe(namespace));
            name.push('/');
        }
        name.push_str(&safe(object.name));
        Some(name)
    }
}
