//! Every command that reads a snapshot, as it would be typed.

use std::path::{Path, PathBuf};

use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::list::{Selection, list};
use etcdsnap::ops::{Progress, Settings, keys};

/// What stands for the file, and for a place to write to, in the words of a command.
const FILE: &str = "{file}";
const OUT: &str = "{out}";

/// A command line without the program's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    words: Vec<String>,
    /// Whether an answer "yes" to a file whose digest does not match would be wrong.
    pub(crate) asks_digest: bool,
    /// Whether it writes a file of the input's size or more.
    pub(crate) writes: bool,
    /// Whether it can be followed by `--threads`.
    threads: bool,
}

impl CommandLine {
    /// As it is told to people.
    pub(crate) fn words(&self) -> String {
        // The list of all types is long.
        let short = |word: &String| if word.len() > 40 { "TYPES".to_owned() } else { word.clone() };
        self.words.iter().map(short).collect::<Vec<_>>().join(" ").replace(FILE, "FILE").replace(OUT, "OUT")
    }

    /// As it is given to the program.
    pub(crate) fn arguments(&self, file: &Path, out: &Path, threads: Option<usize>) -> Vec<String> {
        let (file, out) = (file.to_string_lossy(), out.to_string_lossy());
        let filled = self.words.iter().map(|word| word.replace(FILE, &file).replace(OUT, &out));
        let threads = threads.filter(|_| self.threads).map(|threads| format!("--threads={threads}"));
        filled.chain(threads).collect()
    }

    /// Whether it is asked of a file whose digest does not match.
    pub(crate) fn is_asked_of_unsealed(&self) -> bool {
        self.asks_digest
    }
}

/// The commands for mutations of a sound file: which keys and types they name is
/// taken from it.
pub(crate) fn commands(sound: &Path) -> Result<Vec<CommandLine>, Box<dyn std::error::Error + Send + Sync>> {
    let Named { key, types, pages } = named(sound)?;
    let key = format!("--key-hex={key}");
    let mut lines = Vec::new();
    let mut add = |line: &str, more: &[&str]| {
        let first = line.split(' ').next().unwrap_or_default();
        let words = line.split(' ').chain(more.iter().copied()).map(str::to_owned).collect();
        let asks_digest = matches!(first, "verify" | "restore" | "repack") && !line.contains("--skip-hash");
        let writes = line.contains(OUT) && !line.contains("--dry-run");
        let threads = first != "members";
        lines.push(CommandLine { words, asks_digest, writes, threads });
    };
    add("verify {file}", &[]);
    add("verify {file} -o json", &[]);
    add("restore {file} --data-dir {out} --dry-run", &[]);
    add("restore {file} --data-dir {out}", &[]);
    add("restore {file} --data-dir {out} --bump-revision auto --skip-hash-check --dry-run", &[]);
    add("repack {file} {out}", &[]);
    add("repack {file} {out} --defrag --skip-hash-check", &[]);
    add("salvage {file} {out} --dry-run -o json", &[]);
    add("salvage {file} {out}", &[]);
    add("pages {file}", &[]);
    add("pages {file} --map", &[]);
    add("pages {file} -o json", &[]);
    let ids: Vec<String> = (0..pages.min(64)).map(|id| id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    add("page {file} --limit 8", &ids);
    add("tree {file}", &[]);
    add("carve {file}", &[]);
    add("carve {file} -o yaml", &[]);
    for damage in ["", " --skip-damaged"] {
        let mut add = |line: &str, more: &[&str]| add(&format!("{line}{damage}"), more);
        add("status {file}", &[]);
        add("hashkv {file}", &[]);
        add("members {file}", &[]);
        add("keys {file}", &[]);
        add("keys {file} -o json", &[]);
        add("value {file} -o json", &[&key]);
        add("history {file} --patch -o json", &[&key]);
        add("list {file}", &[]);
        add("list {file} -A", &[]);
        add("get {file} -A", &[&types]);
        add("get {file} -A -o yaml", &[&types]);
        add("get {file} -A -o json", &[&types]);
        add("api-resources {file}", &[]);
        add("export {file} --include-system", &[]);
        add("encryption {file} --all-revisions", &[]);
    }
    Ok(lines)
}

/// What of a file its commands name.
struct Named {
    key: String,
    types: String,
    pages: u64,
}

fn named(path: &Path) -> Result<Named, Box<dyn std::error::Error + Send + Sync>> {
    let snapshot = Snapshot::open(path)?;
    let db = snapshot.db()?;
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let listing = keys::keys(&db, Vec::new(), None, &settings)?;
    let live: Vec<&[u8]> = listing.iter().map(|live| live.key).collect();
    let key = live.get(live.len() / 2).map_or(String::new(), |key| hex(key));
    let listing = list(&db, &Selection::default(), &settings)?;
    let counts = listing.counts(settings.threads);
    let mut types: Vec<String> =
        counts.iter().filter(|count| !count.type_key.internal).map(|count| count.type_key.name()).collect();
    types.dedup();
    // A store without Kubernetes is asked, too.
    let types = if types.is_empty() { "pods,secrets".to_owned() } else { types.join(",") };
    Ok(Named { key, types, pages: db.meta.image_size() / db.meta.page_size.bytes() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a command may write, and that nothing is there before and after.
pub(crate) fn clear(out: &PathBuf) -> std::io::Result<()> {
    match std::fs::symlink_metadata(out) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(out),
        Ok(_) => std::fs::remove_file(out),
        Err(_) => Ok(()),
    }
}
