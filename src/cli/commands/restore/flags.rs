//! Values of the flags, and the help that is made of data.

use std::fmt::Write as _;
use std::num::{IntErrorKind, ParseIntError};

use etcdsnap::etcd::line::EtcdLine;
use etcdsnap::ops::restore::{Bump, Owner, StartsOn};

/// What `--bump-revision` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BumpArgument {
    By(u64),
    Auto,
}

pub(super) fn parse_bump(text: &str) -> Result<BumpArgument, String> {
    match text {
        "auto" => Ok(BumpArgument::Auto),
        number => number.parse().map(BumpArgument::By).map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => {
                format!("the last revision that a bump may lead to is {}", Bump::LIMIT)
            }
            _ => "a whole number is wanted, or auto".to_owned(),
        }),
    }
}

impl BumpArgument {
    /// The bump, if there is one at all: 0 is what upstream's tool has as default.
    pub(super) fn bump(self) -> Option<Bump> {
        match self {
            Self::By(0) => None,
            Self::By(by) => Some(Bump::By(by)),
            Self::Auto => Some(Bump::Auto),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct OwnerArgument {
    owner: Owner,
    /// As it was typed: a user may have another number on another node.
    text: String,
}

impl OwnerArgument {
    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

pub(super) fn parse_owner(text: &str) -> Result<OwnerArgument, String> {
    let (user, group) = text.split_once(':').ok_or("USER:GROUP or UID:GID is wanted")?;
    let uid = match user.parse() {
        Ok(uid) => uid,
        Err(_) => {
            uzers::get_user_by_name(user).ok_or_else(|| format!("there is no user {user:?} here"))?.uid()
        }
    };
    let gid = match group.parse() {
        Ok(gid) => gid,
        Err(_) => {
            uzers::get_group_by_name(group).ok_or_else(|| format!("there is no group {group:?} here"))?.gid()
        }
    };
    Ok(OwnerArgument { owner: Owner { uid, gid }, text: text.to_owned() })
}

pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("an octal mode is wanted, as 700".to_owned()),
    }
}

/// Which lines start on what, as the last part of the long help. At most 60 columns:
/// on a terminal that is narrower, its lines would be broken.
pub(super) fn lines_help() -> String {
    let mut help = String::from(
        "Which etcd starts on the result, by the etcd that wrote the snapshot and --target-version:\n\n  written by",
    );
    // Writing to a String cannot fail.
    for target in EtcdLine::ALL {
        let _ = write!(help, "  {:<9}", format!("for {target}"));
    }
    for written_by in EtcdLine::ALL {
        help.truncate(help.trim_end().len());
        let _ = write!(help, "\n  {:<10}", format!("etcd {written_by}"));
        for target in EtcdLine::ALL {
            let oldest = StartsOn::of(written_by, target).and_then(|starts_on| starts_on.lines().next());
            let cell = match (oldest, EtcdLine::ALL.last()) {
                (None, _) => "-".to_owned(),
                (Some(oldest), Some(newest)) if oldest < *newest => format!("{oldest}-{newest}"),
                (Some(oldest), _) => oldest.to_string(),
            };
            let mark = if target < written_by && oldest.is_some() { " *" } else { "" };
            let _ = write!(help, "  {:<9}", cell + mark);
        }
    }
    help.truncate(help.trim_end().len());
    help.push_str("\n\n  * needs --downgrade;  - is not possible");
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bump_is_a_number_that_a_revision_can_be_or_auto() {
        assert_eq!(parse_bump("auto"), Ok(BumpArgument::Auto));
        assert_eq!(parse_bump("18446744073709551615"), Ok(BumpArgument::By(u64::MAX)));
        let limit = "the last revision that a bump may lead to is 4611686018427387904";
        assert_eq!(parse_bump("18446744073709551616"), Err(limit.to_owned()));
        for text in ["", "-1", "1.5", "1e9", "1,000", "Auto"] {
            assert_eq!(parse_bump(text), Err("a whole number is wanted, or auto".to_owned()), "{text:?}");
        }
    }

    #[test]
    fn the_table_of_lines_fits_a_narrow_terminal() {
        let help = lines_help();
        let table: Vec<_> = help.lines().skip_while(|line| !line.contains("written by  ")).collect();
        assert_eq!(table.len(), 7, "{help}");
        assert!(table.iter().all(|line| line.len() <= 60), "{help}");
        assert!(table.iter().any(|line| line.contains("3.4-3.7 *  3.5-3.7")), "{help}");
    }
}
