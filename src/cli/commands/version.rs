use crate::cli::failure::Failure;
use crate::cli::{Context, Outcome};

/// Print the version
#[derive(Debug, clap::Args)]
pub(crate) struct Version {}

impl Version {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        writeln!(context.out, "etcdsnap {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(context.out, "reads snapshots of etcd 3.4 to 3.7; restores for 3.5, 3.6 and 3.7")?;
        Ok(Outcome::Yes)
    }
}
