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
    pub(crate) fn run(&self, context: &mut Context<'_>, root: &clap::Command) -> Result<Outcome, Failure> {
        let mut page = Vec::new();
        let man = match &self.command {
            None => Page::new(root.clone()),
            Some(name) => {
                let found = root.get_subcommands().find(|command| command.get_name() == name);
                let found = found.ok_or_else(|| {
                    Failure::usage(format!("there is no command {name:?}")).hint("see etcdsnap --help")
                })?;
                let title = format!("etcdsnap-{name}");
                Page::new(found.clone().display_name(&title)).title(title)
            }
        };
        man.render(&mut page)?;
        context.out.write_all(&page)?;
        Ok(Outcome::Yes)
    }
}
