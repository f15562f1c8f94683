use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use etcdsnap::etcd::line::EtcdLine;
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::member_list::DEFAULT_TOKEN;
use etcdsnap::ops::restore::{Owner, Request, Restored, StartsOn, Warning, restore};
use etcdsnap::ops::verify::{Options, Values};
use serde::Serialize;

use super::{PageFormat, SCHEMA_VERSION, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Opening, Threads};
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{count, safe};
use crate::cli::{Context, Outcome, progress, tell};

/// Make a fresh member directory from a snapshot
///
/// The flags are those of `etcdutl snapshot restore`. The snapshot is verified
/// whole, and nothing appears at the target before that: a run that fails or is
/// killed leaves nothing in the way of the next one.
///
/// A new cluster of one member, which the others join later:
///   etcdsnap restore snap.db --name node1 --data-dir /var/lib/etcd \
///     --initial-advertise-peer-urls https://10.20.30.101:2380 \
///     --initial-cluster node1=https://10.20.30.101:2380
///
/// Or the same snapshot on every node, each with its own --name and peer URL and
/// the same --initial-cluster; start etcd only when all of them are restored.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Restore {
    /// The snapshot
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of this member
    #[arg(long, default_value = "default")]
    name: String,
    /// Where the new directory goes [default: NAME.etcd]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the WAL goes [default: DATA-DIR/member/wal]
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// All members of the new cluster: NAME=URL,NAME=URL...
    #[arg(long, value_name = "MEMBERS", default_value = "default=http://localhost:2380")]
    initial_cluster: String,
    /// Sets clusters with the same URLs apart
    #[arg(long, value_name = "TOKEN", default_value = "etcd-cluster")]
    initial_cluster_token: String,
    /// Peer URLs of this member, as in --initial-cluster
    #[arg(long, value_name = "URLS", default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: String,
    /// Restore without a digest, or in spite of one that does not match; all other
    /// checks hold
    #[arg(long)]
    skip_hash_check: bool,
    /// Move the revision ahead by N, so that no client sees it go back
    #[arg(long, value_name = "N", default_value_t = 0)]
    bump_revision: u64,
    /// Mark everything before as compacted, so that watches start anew (goes with
    /// --bump-revision)
    #[arg(long)]
    mark_compacted: bool,
    /// Who owns what is written: USER:GROUP or UID:GID [default: as the target, if
    /// it exists]
    #[arg(long, value_name = "USER:GROUP", value_parser = parse_owner)]
    owner: Option<OwnerArgument>,
    /// Mode of the data directory [default: 700, or as it is]
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    mode: Option<u32>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    /// Accepted for scripts written for etcdutl; has no effect
    #[arg(long, hide = true)]
    initial_memory_map_size: Option<u64>,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnerArgument(Owner);

fn parse_owner(text: &str) -> Result<OwnerArgument, String> {
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
    Ok(OwnerArgument(Owner { uid, gid }))
}

fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("an octal mode is wanted, as 700".to_owned()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    file: String,
    data_dir: String,
    wal_dir: String,
    name: String,
    member_id: String,
    cluster_id: String,
    members: Vec<MemberDocument>,
    revision_before: i64,
    revision_after: i64,
    db_size: u64,
    written_by: String,
    written_for: String,
    starts_on: Vec<String>,
    digest: &'static str,
    warnings: Vec<WarningDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberDocument {
    id: String,
    name: String,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WarningDocument {
    code: &'static str,
    text: String,
}

impl Restore {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let request = self.request()?;
        let source = self.opening.source(&self.file)?;
        let total = source.bytes().len() as u64;
        let settings = self.threads.settings(context);
        // Hashing and writing go side by side; whichever is behind is the measure.
        let done = |progress: &etcdsnap::ops::Progress| {
            let written = progress.written.load(Ordering::Relaxed);
            match progress.hashed.load(Ordering::Relaxed) {
                0 => written,
                hashed => written.min(hashed),
            }
        };
        let restored =
            progress::watch(context, "restoring", total, done, || restore(&source, &request, &settings))
                .map_err(|error| self.failure(error, &source))?;
        let warnings: Vec<_> = restored.warnings.iter().map(|warning| words(warning, self)).collect();
        for (_, text) in &warnings {
            // Not even --quiet hides a trap.
            tell(format_args!("warning: {text}"));
        }
        let told = match self.output {
            PageFormat::Json => write_json(context.out, &self.document(&restored, warnings)),
            PageFormat::Text => self.text(context, &restored),
        };
        let told = told.and_then(|()| context.out.flush().map_err(Failure::from));
        told.map_err(|failure| {
            failure.hint(format!("{} was restored all the same", shown(&restored.data_dir)))
        })?;
        Ok(Outcome::Yes)
    }

    fn failure(
        &self,
        error: etcdsnap::ops::restore::RestoreError,
        source: &etcdsnap::source::Source,
    ) -> Failure {
        use etcdsnap::ops::restore::RestoreError;
        if let RestoreError::NotADatabase(error) = error {
            let error = etcdsnap::etcd::snapshot::SnapshotError::NotADatabase {
                path: self.file.clone(),
                error,
                looks_like: etcdsnap::etcd::snapshot::FileKind::of(source.bytes()),
            };
            return error.into();
        }
        error.into()
    }

    fn request(&self) -> Result<Request, Failure> {
        if (self.bump_revision > 0) != self.mark_compacted {
            return Err(Failure::usage("--bump-revision and --mark-compacted go together").hint(
                "with a higher revision, clients that watch from an old one must be told to start anew",
            ));
        }
        let url_hint = "a URL is https://HOST:PORT, with nothing behind the port";
        let cluster = InitialCluster::parse(&self.initial_cluster)
            .map_err(|error| Failure::usage(format!("--initial-cluster: {error}")).hint(url_hint))?;
        let advertised = PeerUrl::parse_list(&self.initial_advertise_peer_urls).map_err(|error| {
            Failure::usage(format!("--initial-advertise-peer-urls: {error}")).hint(url_hint)
        })?;
        let data_dir = self.data_dir.clone().unwrap_or_else(|| PathBuf::from(format!("{}.etcd", self.name)));
        Ok(Request {
            name: self.name.clone(),
            cluster,
            advertised,
            token: self.initial_cluster_token.clone(),
            data_dir,
            wal_dir: self.wal_dir.clone(),
            skip_hash_check: self.skip_hash_check,
            bump_revision: self.mark_compacted.then_some(self.bump_revision),
            owner: self.owner.map(|OwnerArgument(owner)| owner),
            mode: self.mode,
            verify: Options { prefixes: self.kubernetes.prefixes(), keyring: None, values: Values::First },
        })
    }

    fn document(&self, restored: &Restored, warnings: Vec<(&'static str, String)>) -> Document {
        let summary = &restored.summary;
        Document {
            schema_version: SCHEMA_VERSION,
            file: shown(&self.file),
            data_dir: shown(&restored.data_dir),
            wal_dir: shown(&restored.wal_dir),
            name: self.name.clone(),
            member_id: summary.node.to_string(),
            cluster_id: summary.cluster.to_string(),
            members: summary
                .members
                .iter()
                .map(|member| MemberDocument {
                    id: member.id.to_string(),
                    name: member.name.clone(),
                    peer_urls: member.peer_urls.clone(),
                })
                .collect(),
            revision_before: summary.revision_before,
            revision_after: summary.revision_after,
            db_size: summary.db_size,
            written_by: summary.written_by.to_string(),
            written_for: summary.written_for.to_string(),
            starts_on: lines(summary.starts_on),
            digest: match restored.report.digest {
                Some(DigestVerdict::Matches) => "matches",
                Some(DigestVerdict::Differs { .. }) => "differs",
                _ => "absent",
            },
            warnings: warnings.into_iter().map(|(code, text)| WarningDocument { code, text }).collect(),
        }
    }

    fn text(&self, context: &mut Context<'_>, restored: &Restored) -> Result<(), Failure> {
        let summary = &restored.summary;
        let out = &mut *context.out;
        writeln!(out, "restored {} to {}\n", shown(&self.file), shown(&restored.data_dir))?;
        writeln!(out, "  this member   {} {}", summary.node, safe(self.name.as_bytes()))?;
        writeln!(
            out,
            "  cluster       {}, {}",
            summary.cluster,
            count(summary.members.len() as u64, "member", "members")
        )?;
        for member in &summary.members {
            let (name, urls) = (safe(member.name.as_bytes()), safe(member.peer_urls.join(",").as_bytes()));
            writeln!(out, "                {} {name} {urls}", member.id)?;
        }
        let (before, after) = (summary.revision_before, summary.revision_after);
        let revision = |revision: i64| grouped(revision.unsigned_abs());
        if before == after {
            writeln!(out, "  revision      {}, as in the snapshot", revision(after))?;
        } else {
            writeln!(
                out,
                "  revision      {} (in the snapshot {}), all before marked compacted",
                revision(after),
                revision(before)
            )?;
        }
        writeln!(out, "  database      {}", humanized(summary.db_size))?;
        writeln!(out, "  WAL           {}", shown(&restored.wal_dir))?;
        writeln!(
            out,
            "  etcd          written for {}, starts on {}{}",
            summary.written_for,
            lines(summary.starts_on).join(", "),
            // Later ones take the term that is written for a mark of 3.5's schema.
            if summary.starts_on.oldest == EtcdLine::V3_4 { " (of 3.4: releases before 3.4.31)" } else { "" }
        )?;
        self.next_steps(out, restored)
    }

    /// The command that restores another member of the same cluster. Whatever
    /// goes into the database or the ids must be the same for all.
    fn command_for(&self, name: &str, urls: &str) -> String {
        let mut words = vec!["etcdsnap".to_owned(), "restore".to_owned(), shown(&self.file)];
        let mut flag = |flag: &str, value: &str| words.extend([flag.to_owned(), quoted(value)]);
        flag("--name", name);
        flag("--initial-advertise-peer-urls", urls);
        flag("--initial-cluster", &self.initial_cluster);
        if self.initial_cluster_token != DEFAULT_TOKEN {
            flag("--initial-cluster-token", &self.initial_cluster_token);
        }
        if self.mark_compacted {
            flag("--bump-revision", &self.bump_revision.to_string());
            words.push("--mark-compacted".to_owned());
        }
        if self.skip_hash_check {
            words.push("--skip-hash-check".to_owned());
        }
        words.extend(["--data-dir".to_owned(), "DIR".to_owned()]);
        words.join(" ")
    }

    fn next_steps(&self, out: &mut dyn Write, restored: &Restored) -> Result<(), Failure> {
        let summary = &restored.summary;
        writeln!(out, "\nNext:")?;
        let mut others: Vec<_> = summary.members.iter().filter(|member| member.id != summary.node).collect();
        others.sort_by(|a, b| a.name.cmp(&b.name));
        if !others.is_empty() {
            writeln!(
                out,
                "  restore the same file for the other members, with the same flags but name, URL and directories:"
            )?;
        }
        for member in &others {
            writeln!(out, "    {}", self.command_for(&member.name, &member.peer_urls.join(",")))?;
        }
        let when = if others.is_empty() { "" } else { " on all of them, once all are restored" };
        writeln!(
            out,
            "  start etcd{when}, with --name {} and --data-dir {} (in a kubeadm manifest: the hostPath behind its data dir)",
            safe(self.name.as_bytes()),
            shown(&restored.data_dir)
        )?;
        if self.wal_dir.is_some() {
            writeln!(out, "  give it --wal-dir {} as well", shown(&restored.wal_dir))?;
        }
        if others.is_empty() {
            writeln!(
                out,
                "  add further members one at a time: `etcdctl member add NAME --peer-urls=URL`, then start them with an"
            )?;
            writeln!(
                out,
                "  empty data dir and --initial-cluster-state=existing, and wait for each before the next"
            )?;
        }
        writeln!(
            out,
            "  check: `etcdctl endpoint status --cluster -w table`, `etcdctl member list -w table`"
        )?;
        Ok(())
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+:,./@%[]".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", safe(word.as_bytes()).replace('\'', "'\\''"))
    }
}

fn shown(path: &Path) -> String {
    safe(path.as_os_str().as_encoded_bytes())
}

fn lines(starts_on: StartsOn) -> Vec<String> {
    EtcdLine::ALL.into_iter().filter(|line| *line >= starts_on.oldest).map(|line| line.to_string()).collect()
}

/// A warning's stable name, and what it says.
fn words(warning: &Warning, args: &Restore) -> (&'static str, String) {
    match warning {
        Warning::DigestSkipped(DigestVerdict::Differs { .. }) => (
            "digest-differs",
            "the digest does not match: bytes inside values may be wrong; everything else was checked".into(),
        ),
        Warning::DigestSkipped(_) => (
            "digest-absent",
            "there was no digest to check the snapshot by; everything else was checked".into(),
        ),
        Warning::Alarm(alarm) => (
            "alarm",
            format!(
                "the {} alarm is on in the snapshot and so in the restored cluster: `etcdctl alarm disarm` after it is up, once its cause is gone",
                alarm.kind
            ),
        ),
        Warning::AuthEnabled { users } => (
            "auth-enabled",
            format!(
                "authentication is on: the restored cluster asks for the passwords of the old one ({})",
                count(*users as u64, "user", "users")
            ),
        ),
        Warning::IdsOfOldCluster(ids) => (
            "ids-of-old-cluster",
            format!(
                "the new {} of the old cluster: old members that still run, or come back, would talk to the new ones and crash or corrupt them. Stop all of them for good, or restore again (every member) with another --initial-cluster-token than {:?}",
                match ids.as_slice() {
                    [id] => format!("member {id} has the id of a member"),
                    ids => format!("{} members have ids of members", ids.len()),
                },
                args.initial_cluster_token
            ),
        ),
        Warning::KubernetesWithoutBump { revision } => (
            "kubernetes-without-bump",
            format!(
                "this is a Kubernetes store and its revision goes back to {}: API servers, controllers and kubelets that kept running would hold on to what they saw after it. Restart all of them after the restore, or restore with --bump-revision 1000000000 --mark-compacted (the same on every member)",
                grouped(revision.unsigned_abs())
            ),
        ),
        Warning::DowngradeUnderWay(target) => (
            "downgrade-under-way",
            format!(
                "a downgrade to {} was under way; `etcdctl downgrade cancel` ends it",
                safe(target.as_bytes())
            ),
        ),
        Warning::CompactionUnfinished => {
            ("compaction-unfinished", "a compaction was not finished; etcd finishes it when it starts".into())
        }
        Warning::Suspicious(number) => (
            "suspicious",
            format!(
                "{} in the snapshot: see `etcdsnap verify`",
                count(*number, "suspicious finding", "suspicious findings")
            ),
        ),
        _ => ("other", format!("{warning:?}")),
    }
}
