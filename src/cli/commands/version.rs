use crate::cli::failure::Failure;
use crate::cli::{Context, Outcome};

/// Print the version
#[derive(Debug, clap::Args)]
pub(crate) struct Version {}

impl Version {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        writeln!(context.out, "etcdsnap {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(context.out, "reads snapshots of etcd 3.4 to 3.7, and restores for any of these lines")?;
        Ok(Outcome::Yes)
    }
}
