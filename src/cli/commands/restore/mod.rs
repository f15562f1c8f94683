mod document;
mod page;
mod words;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use etcdsnap::etcd::line::EtcdLine;
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::ops::restore::{Membership, Owner, Placement, Request, StartsOn, restore};
use etcdsnap::ops::verify::{Options, Values};

use super::{PageFormat, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Opening, Threads};
use crate::cli::output::text::safe;
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

impl Restore {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        vec![self.file.clone()]
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (request, placement) = self.request()?;
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
        let restored = progress::watch(context, "restoring", total, done, || {
            restore(&source, &request, &placement, &settings)
        })
        .map_err(|error| self.failure(error, &source))?;
        let warnings: Vec<_> = restored.warnings.iter().map(|warning| words::words(warning, self)).collect();
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

    fn request(&self) -> Result<(Request, Placement), Failure> {
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
        let request = Request {
            membership: Membership { cluster, token: self.initial_cluster_token.clone() },
            skip_hash_check: self.skip_hash_check,
            bump_revision: self.mark_compacted.then_some(self.bump_revision),
            verify: Options { prefixes: self.kubernetes.prefixes(), values: Values::First, keyring: None },
        };
        let placement = Placement {
            name: self.name.clone(),
            advertised,
            data_dir,
            wal_dir: self.wal_dir.clone(),
            owner: self.owner.map(|OwnerArgument(owner)| owner),
            mode: self.mode,
        };
        Ok((request, placement))
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
