use clap_mangen::Man as Page;

use crate::cli::failure::Failure;
use crate::cli::{Context, Outcome};

/// Print the manual page
///
/// `etcdsnap man | man -l -` shows it.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The page of this command instead of the overview
    command: Option<String>,
}

impl Man {
    pub(crate) fn run(
        &self,
        context: &mut Context<'_>,
        root: &mut clap::Command,
    ) -> Result<Outcome, Failure> {
        // Gives the commands their full names, and the options of all commands.
        root.build();
        let mut page = Vec::new();
        let command = match &self.command {
            None => &*root,
            Some(name) => root.find_subcommand(name).ok_or_else(|| {
                Failure::usage(format!("there is no command {name:?}")).hint("see etcdsnap --help")
            })?,
        };
        Page::new(command.clone())
            .title(command.get_display_name().unwrap_or("etcdsnap"))
            .source(concat!("etcdsnap ", env!("CARGO_PKG_VERSION")))
            .manual("etcdsnap")
            .render(&mut page)?;
        context.out.write_all(&page)?;
        Ok(Outcome::Yes)
    }
}
