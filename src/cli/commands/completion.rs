use clap_complete::{Shell, generate};

use crate::cli::failure::Failure;
use crate::cli::{Context, Outcome};

/// Print a completion script for a shell
///
/// For bash: `etcdsnap completion bash > /etc/bash_completion.d/etcdsnap`
#[derive(Debug, clap::Args)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(
        &self,
        context: &mut Context<'_>,
        command: &mut clap::Command,
    ) -> Result<Outcome, Failure> {
        // Generated to memory: the generator panics on a pipe that was closed.
        let mut script = Vec::new();
        generate(self.shell, command, "etcdsnap", &mut script);
        context.out.write_all(&script)?;
        Ok(Outcome::Yes)
    }
}
