//! What is left out or changed on the way from one database to another: options of
//! the commands that write one.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use etcdsnap::bolt::Db;
use etcdsnap::etcd::root_user::{NoPasswordHash, PasswordHash};
use etcdsnap::kube::manifest::scope::Pattern;
use etcdsnap::kube::select::arguments::Request as TypeRequest;
use etcdsnap::ops::Settings;
use etcdsnap::ops::reader::Reader;
use etcdsnap::ops::rebuild::{Changes, CompactAt, DroppedType, Leases, Selection};

use super::commands::get::{store, unknown};
use super::failure::Failure;
use super::input::{HexBytes, bytes_of_hex};
use super::output::text::safe;
use super::prompt::new_password;

const LEAVE_OUT: &str = "Leave out (keys go with all their history)";
const CLEANSE: &str = "Cleanse";

/// Options that leave keys out or change what is kept of them.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cleansing {
    /// Keys that begin with PREFIX; can be given several times
    #[arg(long, value_name = "PREFIX", help_heading = LEAVE_OUT)]
    drop_prefix: Vec<OsString>,
    /// The same for a prefix in hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = bytes_of_hex, help_heading = LEAVE_OUT)]
    drop_prefix_hex: Vec<HexBytes>,
    /// All keys but those that begin with PREFIX; can be given several times
    #[arg(long, value_name = "PREFIX", help_heading = LEAVE_OUT)]
    keep_prefix: Vec<OsString>,
    /// Kubernetes objects of these types, as kubectl has them: events,
    /// leases.coordination.k8s.io
    #[arg(long, value_name = "TYPE", value_delimiter = ',', help_heading = LEAVE_OUT)]
    drop_resource: Vec<String>,
    /// Kubernetes objects in all namespaces but these, and those namespaces; objects
    /// in no namespace stay; * stands for any text
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = LEAVE_OUT)]
    include_namespaces: Vec<String>,
    /// Kubernetes objects in these namespaces, and the namespaces
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = LEAVE_OUT)]
    exclude_namespaces: Vec<String>,
    /// Go on although volumes with reclaim policy Delete or Recycle would lose their
    /// claims: the cluster would delete their data
    #[arg(long, help_heading = LEAVE_OUT)]
    accept_reclaim: bool,
    /// Go on although objects would lose all their owners: the cluster would delete
    /// them, and all that they own
    #[arg(long, help_heading = LEAVE_OUT)]
    accept_orphans: bool,
    /// Drop history before revision REV, or all of it with `now`, as `etcdctl compact`
    /// does
    #[arg(long, value_name = "REV", value_parser = parse_compact, help_heading = CLEANSE)]
    compact: Option<CompactAt>,
    /// Revoke all leases: their keys are deleted, each lease at a revision of its own
    #[arg(long, conflicts_with = "detach_leases", help_heading = CLEANSE)]
    expire_leases: bool,
    /// Remove all leases and keep their keys
    #[arg(long, help_heading = CLEANSE)]
    detach_leases: bool,
    /// Turn authentication off, as `etcdctl auth disable` does; users and roles stay
    #[arg(long, help_heading = CLEANSE)]
    disable_auth: bool,
    /// Give user root another password, and role root; both are made if they are not
    /// there. HASH is its bcrypt hash, '$2a$10$...'; without one, or with `prompt`, the
    /// password is asked for
    #[arg(long, value_name = "HASH", num_args = 0..=1, default_missing_value = PROMPT, help_heading = CLEANSE)]
    reset_root_password: Option<String>,
    /// Write the tree anew, without free pages; any option above does, too
    #[arg(long, help_heading = CLEANSE)]
    defrag: bool,
}

/// In place of a hash: ask.
const PROMPT: &str = "prompt";
/// How costly it is to try passwords: what etcd uses, `--bcrypt-cost`.
const BCRYPT_COST: u32 = 10;

/// How many databases there are that must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Databases {
    /// One, or copies of one.
    One,
    /// One, and others that are made elsewhere.
    OneOfSeveral,
}

/// The hash, as Go's bcrypt would have made it.
fn hash_of(password: &[u8]) -> Result<PasswordHash, Failure> {
    let hash = bcrypt::non_truncating_hash_with_result(password, BCRYPT_COST)
        .map_err(|error| Failure::new(format!("the password cannot be hashed: {error}")))?;
    let text = hash.format_for_version(bcrypt::Version::TwoA);
    text.parse().map_err(|error| Failure::new(format!("the hash is none: {error}")))
}

/// The value of an option that is to be given again.
pub(crate) enum Value {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The hash of a password, which is not repeated.
    Hash,
}

fn parse_compact(text: &str) -> Result<CompactAt, String> {
    match text.parse() {
        _ if text == "now" => Ok(CompactAt::Now),
        Ok(revision) if revision > 0 => Ok(CompactAt::Revision(revision)),
        _ => Err("a revision or `now` is wanted".to_owned()),
    }
}

impl Cleansing {
    /// The changes asked for. Types are looked up in `db`, where the cluster's own may
    /// be defined.
    ///
    /// # Errors
    /// Options that contradict each other, unknown types, a damaged file.
    pub(crate) fn changes(
        &self,
        db: &Db<'_>,
        reader: &Reader<'_>,
        root_password: Option<PasswordHash>,
        settings: &Settings<'_>,
    ) -> Result<Changes, Failure> {
        let patterns = |texts: &[String]| texts.iter().map(Pattern::new).collect();
        let bytes = |text: &OsString| text.as_bytes().to_vec();
        let hex = self.drop_prefix_hex.iter().map(|prefix| prefix.bytes().to_vec());
        let selection = Selection {
            keep_prefixes: self.keep_prefix.iter().map(bytes).collect(),
            drop_prefixes: self.drop_prefix.iter().map(bytes).chain(hex).collect(),
            drop_types: self.types(db, reader, settings)?,
            include_namespaces: patterns(&self.include_namespaces),
            exclude_namespaces: patterns(&self.exclude_namespaces),
            prefixes: reader.prefixes.clone(),
        };
        let mut prefixes = selection.keep_prefixes.iter().chain(&selection.drop_prefixes);
        if prefixes.any(Vec::is_empty) {
            return Err(Failure::usage("an empty prefix stands for all keys")
                .hint("name what the keys begin with: --drop-prefix /registry/events/"));
        }
        if !selection.is_empty() && matches!(self.compact, Some(CompactAt::Revision(_))) {
            return Err(Failure::usage(
                "--compact REV cannot be had where keys are left out: no history is true without them",
            )
            .hint("leave out --compact: the store is compacted at its own revision then"));
        }
        Ok(Changes {
            selection,
            compact: self.compact,
            leases: match (self.expire_leases, self.detach_leases) {
                (true, _) => Leases::Expire,
                (false, true) => Leases::Detach,
                (false, false) => Leases::Keep,
            },
            disable_auth: self.disable_auth,
            root_password,
            defrag: self.defrag,
            bump_to: None,
            accept_reclaim: self.accept_reclaim,
            accept_orphans: self.accept_orphans,
        })
    }

    /// The hash of root's new password, which is asked for if it was not given. Where its
    /// salt would differ from node to node that is refused, as is a text that is no hash:
    /// it is not repeated, as it may be the password itself.
    pub(crate) fn root_password(&self, databases: Databases) -> Result<Option<PasswordHash>, Failure> {
        let Some(text) = &self.reset_root_password else { return Ok(None) };
        if text == PROMPT {
            return match databases {
                Databases::One => hash_of(&new_password("root")?).map(Some),
                Databases::OneOfSeveral => Err(Failure::usage(
                    "--reset-root-password can ask for the password only with --all-members",
                )
                .hint("each hash has another salt, so members that are restored one by one would differ: make one hash, and give it to all of them")
                .hint("`htpasswd -nBC 10 root` makes one; what is behind the colon goes to every node: --reset-root-password '$2a$10$...'")
                .hint("or restore all members at once, --all-members --out-dir DIR")),
            };
        }
        let hash = text.parse().map_err(|error: NoPasswordHash| {
            Failure::usage(format!("--reset-root-password takes a bcrypt hash: {error}"))
                .hint("make one with `htpasswd -nBC 10 root`, and take what is behind the colon")
                .hint("in single quotes, as a shell puts other things where it finds $: '$2a$10$...'")
                .hint("or leave the hash out, --reset-root-password=prompt, and the password is asked for")
        })?;
        Ok(Some(hash))
    }

    /// Whether a client may see something else than in the source: more than history or
    /// free pages may go.
    pub(crate) fn may_be_seen(&self) -> bool {
        self.is_selective()
            || self.expire_leases
            || self.detach_leases
            || self.disable_auth
            || self.resets_root_password()
    }

    /// Whether keys are to be left out.
    fn is_selective(&self) -> bool {
        !self.drop_prefix.is_empty()
            || !self.drop_prefix_hex.is_empty()
            || !self.keep_prefix.is_empty()
            || !self.drop_resource.is_empty()
            || !self.include_namespaces.is_empty()
            || !self.exclude_namespaces.is_empty()
    }

    /// Whether user root's password is asked for.
    pub(crate) fn asks_for_a_password(&self) -> bool {
        self.reset_root_password.as_deref() == Some(PROMPT)
    }

    /// Whether user root gets another password.
    pub(crate) fn resets_root_password(&self) -> bool {
        self.reset_root_password.is_some()
    }

    /// Whether anything was asked for.
    pub(crate) fn is_given(&self) -> bool {
        !self.words().is_empty()
    }

    /// The options as they can be given again, each with its value. The hash of a
    /// password is not among them: something stands in its place.
    pub(crate) fn words(&self) -> Vec<(&'static str, Option<Value>)> {
        let mut words = Vec::new();
        let bytes = |text: &OsString| Some(Value::Bytes(text.as_bytes().to_vec()));
        words.extend(self.drop_prefix.iter().map(|prefix| ("--drop-prefix", bytes(prefix))));
        let hex = self.drop_prefix_hex.iter().map(|prefix| super::output::text::hex(prefix.bytes()));
        words.extend(hex.map(|digits| ("--drop-prefix-hex", Some(Value::Bytes(digits.into_bytes())))));
        words.extend(self.keep_prefix.iter().map(|prefix| ("--keep-prefix", bytes(prefix))));
        for (flag, list) in [
            ("--drop-resource", &self.drop_resource),
            ("--include-namespaces", &self.include_namespaces),
            ("--exclude-namespaces", &self.exclude_namespaces),
        ] {
            words.extend((!list.is_empty()).then(|| (flag, Some(Value::Bytes(list.join(",").into_bytes())))));
        }
        words.extend(self.compact.map(|at| {
            let at = match at {
                CompactAt::Now => "now".to_owned(),
                CompactAt::Revision(revision) => revision.to_string(),
            };
            ("--compact", Some(Value::Bytes(at.into_bytes())))
        }));
        let password = self.reset_root_password.as_ref();
        words.extend(password.map(|_| ("--reset-root-password", Some(Value::Hash))));
        let switches = [
            ("--accept-reclaim", self.accept_reclaim),
            ("--accept-orphans", self.accept_orphans),
            ("--expire-leases", self.expire_leases),
            ("--detach-leases", self.detach_leases),
            ("--disable-auth", self.disable_auth),
            ("--defrag", self.defrag),
        ];
        words.extend(switches.into_iter().filter(|(_, given)| *given).map(|(switch, _)| (switch, None)));
        words
    }

    fn types(
        &self,
        db: &Db<'_>,
        reader: &Reader<'_>,
        settings: &Settings<'_>,
    ) -> Result<Vec<DroppedType>, Failure> {
        if self.drop_resource.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(object) = self.drop_resource.iter().find(|name| name.contains('/')) {
            return Err(Failure::usage(format!(
                "--drop-resource leaves out all objects of a type: {} is not the name of one",
                safe(object.as_bytes())
            ))
            .hint("types are named as for kubectl: pods, events.events.k8s.io")
            .hint("for a single object give its key: --drop-prefix /registry/pods/NAMESPACE/NAME, as `etcdsnap keys` shows it"));
        }
        let typed = TypeRequest::parse(&[self.drop_resource.join(",")])
            .map_err(|error| Failure::usage(error.to_string()).hint("--drop-resource events,leases"))?;
        let (known, _) = store::types(db, Some(&[&typed]), false, reader, None, settings)?;
        let wanted = known.resolve(&typed).map_err(|fault| unknown(&fault))?;
        let named = |wanted: &etcdsnap::kube::select::types::Wanted<'_>| DroppedType {
            plural: wanted.resource.plural().to_owned(),
            group: wanted.resource.group().to_owned(),
        };
        Ok(wanted.iter().map(named).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_made_here_is_one_of_gos_and_of_that_password() {
        let hash = hash_of("p\u{e4}ss w0rd".as_bytes()).expect("hashed");
        let text = std::str::from_utf8(hash.as_bytes()).expect("a text");
        assert!(text.starts_with("$2a$10$"), "{text}");
        assert!(bcrypt::verify("p\u{e4}ss w0rd", text).expect("compared"));
        assert!(!bcrypt::verify("pass w0rd", text).expect("compared"));
        assert_ne!(hash_of(b"x").expect("hashed").as_bytes(), hash_of(b"x").expect("hashed").as_bytes());
    }
}
