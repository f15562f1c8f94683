mod all_members;
mod commands;
mod document;
mod done;
mod flags;
mod membership;
mod misfit;
mod page;
mod start_flags;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use etcdsnap::bolt::Db;
use etcdsnap::etcd::line::EtcdLine;
use etcdsnap::etcd::root_user::PasswordHash;
use etcdsnap::kube::unix_time::UnixTime;
use etcdsnap::ops::Settings;
use etcdsnap::ops::reader::Reader;
use etcdsnap::ops::rebuild::Changes;
use etcdsnap::ops::restore::membership::Resolved;
use etcdsnap::ops::restore::{
    Corrections, Existing, Fingerprint, OutDir, Placement, Request, RestoreError, StartsOn, TargetError,
    preview, preview_all, restore, restore_all,
};
use etcdsnap::ops::verify::{Options, Values};
use etcdsnap::source::Source;

use flags::{BumpArgument, OwnerArgument, parse_bump, parse_mode, parse_owner};

use self::all_members::AllMembers;
use self::done::{Done, Foreseen, foreseen};
use self::membership::{DEFAULT_NAME, Members};
use self::start_flags::StartForm;
use super::{PageFormat, write_json};
use crate::cli::changed::{self, Remark};
use crate::cli::decryption::Decryption;
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Opening, Threads};
use crate::cli::output::shell::{quoted, quoted_path};
use crate::cli::output::text::shown;
use crate::cli::refused::refused;
use crate::cli::selection::{Cleansing, Databases};
use crate::cli::switch::switch;
use crate::cli::{Context, Outcome, progress};

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
/// the same --initial-cluster; start etcd only when all of them are restored. The
/// state that is printed must be the same on all of them. The members can also be
/// those of a file, or those of the snapshot on other machines:
///   etcdsnap restore snap.db --name node1 --data-dir /var/lib/etcd \
///     --same-members --map-url 10.20.30.101=10.20.40.101
///
/// Options that leave keys out or cleanse have the database written anew. What is
/// left out is told, and the result is not the cluster that was saved.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_long_help = flags::lines_help())]
pub(crate) struct Restore {
    /// The snapshot
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of this member [default: default]
    #[arg(long)]
    name: Option<String>,
    /// Where the new directory goes [default: NAME.etcd]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the WAL goes [default: DATA-DIR/member/wal]
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    #[command(flatten)]
    members: Members,
    /// Members that start without a vote, by name: NAME,NAME...
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    learners: Vec<String>,
    #[command(flatten)]
    all: AllMembers,
    /// Write for this line of etcd: 3.4, 3.5, 3.6 or 3.7, or a version of it [default:
    /// as the snapshot, at least 3.5]
    #[arg(long, value_name = "VERSION")]
    target_version: Option<EtcdLine>,
    /// Allow a --target-version older than the snapshot: take the marks of newer lines
    /// out of it
    #[arg(long, requires = "target_version")]
    downgrade: bool,
    /// Restore without a digest, or in spite of one that does not match; all other
    /// checks hold
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "skip_hash_check")]
    skip_hash_check: bool,
    /// Move the revision ahead by N, so that no client sees it go back; auto: as far
    /// as is safe
    #[arg(long, value_name = "N|auto", value_parser = parse_bump, allow_hyphen_values = true)]
    bump_revision: Option<BumpArgument>,
    /// Mark everything before as compacted, so that watches start anew (goes with
    /// --bump-revision N, implied by auto)
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "mark_compacted")]
    mark_compacted: bool,
    /// Leave out alarms that are on in the snapshot
    #[arg(long)]
    clear_alarms: bool,
    /// Leave out a downgrade of the old cluster that was under way
    #[arg(long)]
    clear_downgrade: bool,
    /// Name the new members in meta/confState, where a restore by etcd leaves the old
    #[arg(long)]
    rewrite_conf_state: bool,
    /// Only find out what would be done; nothing is written
    #[arg(long)]
    dry_run: bool,
    /// Refuse unless the restored state is this one, as another node has printed it
    #[arg(long, value_name = "STATE")]
    expect_state: Option<Fingerprint>,
    /// Who owns what is written: USER:GROUP or UID:GID [default: as the target, if
    /// it exists]
    #[arg(long, value_name = "USER:GROUP", value_parser = parse_owner)]
    owner: Option<OwnerArgument>,
    /// Mode of the data directory [default: 700, or as it is]
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    mode: Option<u32>,
    /// Move a member that is there aside, to DIR/member.bak-TIME, and its WAL with it;
    /// nothing is ever deleted
    #[arg(long)]
    force: bool,
    /// Also print how etcd is to be started on the result
    #[arg(long, value_name = "FORM", value_enum)]
    start_flags: Option<StartForm>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    /// Accepted for scripts written for etcdutl; has no effect
    #[arg(long, hide = true)]
    initial_memory_map_size: Option<u64>,
    /// The same; a restore by etcdutl answers nothing that could have another form
    #[arg(short, long, hide = true, value_name = "FORM")]
    write_out: Option<String>,
    #[command(flatten)]
    cleansing: Cleansing,
    #[command(flatten)]
    decryption: Decryption,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
}

/// Where the restore goes.
enum Place {
    One(Placement),
    All(OutDir),
}

impl Restore {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        vec![self.file.clone()]
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        self.check_bump()?;
        let out_dir = self.all.out_dir(self)?;
        // What is wrong with the command line is told before the snapshot is opened.
        let resolve = |db: Option<&Db<'_>>| self.members.resolve(db, &self.file);
        let early = (!self.members.are_in_the_snapshot()).then(|| resolve(None)).transpose()?;
        let place_of = |resolved: &Resolved| {
            let place = match out_dir.clone() {
                Some(out_dir) => Place::All(out_dir),
                None => Place::One(self.placement(resolved)?),
            };
            self.check_start_flags(resolved, &place)?;
            Ok::<_, Failure>(place)
        };
        let early = early.map(|resolved| Ok::<_, Failure>((place_of(&resolved)?, resolved))).transpose()?;
        let databases = if out_dir.is_some() { Databases::One } else { Databases::OneOfSeveral };
        let root_password = self.cleansing.root_password(databases)?;
        let source = self.opening.source(context, &self.file)?;
        let (place, resolved) = match early {
            Some(early) => early,
            None => {
                let db = Db::open(source.bytes()).map_err(|error| self.failure(error.into(), &source))?;
                let resolved = resolve(Some(&db))?;
                source.finish()?;
                (place_of(&resolved)?, resolved)
            }
        };
        let mut request = self.request(&resolved);
        request.keyring = self.decryption.keyring(context)?.map(Arc::new);
        let total = source.bytes().len() as u64;
        let settings = self.threads.settings(context);
        if self.cleansing.is_given() {
            request.changes = self.changes(&source, &request, root_password.clone(), &settings)?;
        }
        // Hashing and writing go side by side; whichever is behind is the measure. A
        // database that is written anew may have any size.
        let rebuilt = !request.changes.is_empty();
        let done = move |progress: &etcdsnap::ops::Progress| {
            let written = progress.written.load(Ordering::Relaxed);
            match progress.hashed.load(Ordering::Relaxed) {
                hashed if rebuilt => hashed,
                0 => written,
                hashed => written.min(hashed),
            }
        };
        let foresee = || match &place {
            Place::One(placement) => {
                preview(&source, &request, placement, &settings).map(|plan| foreseen(plan, Done::One))
            }
            Place::All(out_dir) => {
                preview_all(&source, &request, out_dir, &settings).map(|plan| foreseen(plan, Done::All))
            }
        };
        if self.dry_run {
            let answer = progress::watch(context, "checking", total, done, foresee);
            self.tell_hash(context, root_password.as_ref());
            return self.tell_plan(context, &resolved, answer, &source);
        }
        let restored = progress::watch(context, "restoring", total, done, || match &place {
            Place::One(placement) => restore(&source, &request, placement, &settings).map(Done::One),
            Place::All(out_dir) => restore_all(&source, &request, out_dir, &settings).map(Done::All),
        });
        let restored = match restored {
            // What it would come to is the reason, so it is shown whole.
            Err(RestoreError::Refused(_) | RestoreError::OtherState { .. }) => {
                return self.tell_plan(context, &resolved, foresee(), &source);
            }
            restored => restored.map_err(|error| self.failure(error, &source))?,
        };
        self.wrote(context, &restored);
        self.tell_hash(context, root_password.as_ref());
        let told = self.tell(context, &resolved, &restored, None);
        let told = told.and_then(|()| context.out.flush().map_err(Failure::from));
        told.map_err(|failure| {
            failure.hint(format!("{} was restored all the same", shown(restored.directory())))
        })?;
        Ok(Outcome::Yes)
    }

    /// What a restore would do, and why it would not.
    fn tell_plan(
        &self,
        context: &mut Context<'_>,
        resolved: &Resolved,
        answer: Result<(Done, Foreseen), RestoreError>,
        source: &Source,
    ) -> Result<Outcome, Failure> {
        let (restored, plan) = answer.map_err(|error| self.failure(error, source))?;
        self.tell(context, resolved, &restored, Some(&plan))?;
        context.out.flush()?;
        if let Some(expected) = plan.missed_state {
            let (found, summary) = (restored.state(), Box::new(restored.summary().clone()));
            return Err(self.failure(RestoreError::OtherState { expected, found, summary }, source));
        }
        if !plan.refusals.is_empty() {
            return Err(refused(&plan.refusals, "FILE"));
        }
        plan.problem.map_or(Ok(Outcome::Yes), |problem| Err(self.failure(problem.into(), source)))
    }

    fn tell(
        &self,
        context: &mut Context<'_>,
        resolved: &Resolved,
        restored: &Done,
        plan: Option<&Foreseen>,
    ) -> Result<(), Failure> {
        let surroundings = words::Surroundings {
            token: &resolved.membership.token,
            resets_root_password: self.cleansing.resets_root_password(),
            places: self.places(restored),
        };
        let warnings = restored.warnings().iter().map(|warning| words::words(warning, &surroundings));
        let mut warnings: Vec<_> = warnings.chain(membership::doubt(resolved)).collect();
        if let Some(outcome) = &restored.summary().changed {
            warnings.extend(changed::warnings(outcome, "FILE").into_iter().map(Remark::into_parts));
        }
        if self.bump_revision.is_none() && restored.summary().is_bumped {
            warnings.push(words::bump_implied(restored.summary()));
        }
        for (_, text) in &warnings {
            context.warn(text);
        }
        match self.output {
            PageFormat::Json => {
                let refused = plan.is_some_and(Foreseen::is_refused);
                let start_flags = if refused { None } else { self.start_documents(resolved, restored) };
                write_json(context.out, &self.document(restored, plan, warnings, start_flags))
            }
            PageFormat::Text => {
                self.page(context.out, restored, plan)?;
                self.start_section(context.out, resolved, restored, plan)
            }
        }
    }

    /// The hash that a prompt came to: with the password, the next restore would come to
    /// another one, and another state.
    fn tell_hash(&self, context: &Context<'_>, hash: Option<&PasswordHash>) {
        if let Some(hash) = hash.filter(|_| self.cleansing.asks_for_a_password()) {
            let hash = quoted(hash.as_bytes());
            context.say(format_args!(
                "note: to come to the same state again, for a single member say, give the hash in place of the password: --reset-root-password {hash}"
            ));
        }
    }

    /// Remembers the files for a report.
    fn wrote(&self, context: &mut Context<'_>, restored: &Done) {
        self.written(restored).iter().for_each(|path| context.wrote(path));
    }

    /// Where things were written, as words of a command.
    fn places(&self, restored: &Done) -> String {
        let paths = self.written(restored);
        paths.iter().map(|path| quoted_path(path)).collect::<Vec<_>>().join(" ")
    }

    /// Where things were written.
    fn written(&self, restored: &Done) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        match restored {
            Done::One(restored) => {
                paths.push(restored.data_dir.join("member"));
                paths.extend(self.wal_dir.is_some().then(|| restored.wal_dir.clone()));
            }
            Done::All(restored) => paths.push(restored.out_dir.clone()),
        }
        paths
    }

    fn failure(&self, error: RestoreError, source: &Source) -> Failure {
        if let (RestoreError::Target(TargetError::NotEmpty { .. }), true) = (&error, self.all.is_asked_for())
        {
            return Failure::new(error.to_string()).regardless().hint(
                "name an --out-dir that is not there yet: what is there is never touched, be it complete or not ours",
            );
        }
        if let RestoreError::Bootstrap(error) = &error {
            return self.members.misfit(error, self.name.as_deref());
        }
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

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(DEFAULT_NAME)
    }

    /// What is to be left out or changed.
    fn changes(
        &self,
        source: &Source,
        request: &Request,
        root_password: Option<PasswordHash>,
        settings: &Settings<'_>,
    ) -> Result<Changes, Failure> {
        let db = Db::open(source.bytes());
        let db = db.map_err(|error| self.failure(RestoreError::NotADatabase(error), source))?;
        let (keys, prefixes) = (request.keyring.as_deref(), request.verify.prefixes.clone());
        let reader = Reader { keys, prefixes, ..Reader::default() };
        self.cleansing.changes(&db, &reader, root_password, settings)
    }

    /// Whether the revision is moved, unasked, if a client would see anything else than
    /// in the snapshot.
    fn may_imply_a_bump(&self) -> bool {
        self.cleansing.may_be_seen()
    }

    fn check_bump(&self) -> Result<(), Failure> {
        let bump = self.bump_revision.and_then(BumpArgument::bump);
        let automatic = match self.bump_revision {
            Some(bump) => bump == BumpArgument::Auto,
            None => self.may_imply_a_bump(),
        };
        if bump.is_none() && self.bump_revision.is_some() && self.mark_compacted {
            return Err(Failure::usage("--mark-compacted, and --bump-revision 0 moves nothing")
                .hint("give --bump-revision a number above 0, or auto; or leave both out"));
        }
        if !automatic && bump.is_some() != self.mark_compacted {
            return Err(Failure::usage("--bump-revision and --mark-compacted go together").hint(
                "with a higher revision, clients that watch from an old one must be told to start anew",
            ));
        }
        Ok(())
    }

    fn request(&self, resolved: &Resolved) -> Request {
        let mut membership = resolved.membership.clone();
        membership.learners.extend(self.learners.iter().cloned());
        Request {
            membership,
            target_line: self.target_version,
            corrections: Corrections {
                downgrade: self.downgrade,
                clear_downgrade: self.clear_downgrade,
                clear_alarms: self.clear_alarms,
                rewrite_conf_state: self.rewrite_conf_state,
            },
            bump: self.bump_revision.and_then(BumpArgument::bump),
            bump_if_unfaithful: self.bump_revision.is_none(),
            changes: Changes::default(),
            keyring: None,
            skip_hash_check: self.skip_hash_check,
            expected_state: self.expect_state,
            verify: Options { prefixes: self.kubernetes.prefixes(), values: Values::First, keyring: None },
        }
    }

    fn placement(&self, resolved: &Resolved) -> Result<Placement, Failure> {
        let advertised = self.members.advertised(self.name.as_deref(), &resolved.membership)?;
        let data_dir =
            self.data_dir.clone().unwrap_or_else(|| PathBuf::from(format!("{}.etcd", self.name())));
        Ok(Placement {
            name: self.name().to_owned(),
            advertised,
            data_dir,
            wal_dir: self.wal_dir.clone(),
            owner: self.owner.as_ref().map(OwnerArgument::owner),
            mode: self.mode,
            existing: match self.force {
                true => Existing::MoveAside { at: now() },
                false => Existing::Refuse,
            },
        })
    }
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(since).ok().and_then(UnixTime::from_seconds).unwrap_or(UnixTime::MAX)
}

fn lines(starts_on: StartsOn) -> Vec<String> {
    starts_on.lines().map(|line| line.to_string()).collect()
}
