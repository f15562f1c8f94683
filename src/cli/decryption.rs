//! `--encryption-config`: the cluster's own key file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use etcdsnap::kube::encryption::{Keyring, Why};

use super::Context;
use super::failure::Failure;
use super::output::text::safe;

/// Options of the commands that read values.
#[derive(Debug, Clone, Args)]
pub(crate) struct Decryption {
    /// The API server's EncryptionConfiguration (YAML or JSON), to open encrypted
    /// values with
    #[arg(long, value_name = "FILE", help_heading = "Encryption at rest")]
    encryption_config: Option<PathBuf>,
}

impl Decryption {
    /// The file, if one was named.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.encryption_config.as_deref()
    }

    /// The keys, if a file was named.
    ///
    /// # Errors
    /// A file that cannot be read, or that no API server could start with.
    pub(crate) fn keyring(&self, context: &Context<'_>) -> Result<Option<Keyring>, Failure> {
        let Some(path) = &self.encryption_config else { return Ok(None) };
        let shown = path.display();
        let (text, everyone) = read(path).map_err(|error| {
            Failure::new(format!("cannot read the encryption configuration {shown}: {error}")).hint(
                "it is the file that the API server has as --encryption-provider-config; usually readable for root only",
            )
        })?;
        if text.len() > Keyring::LIMIT {
            return Err(Failure::new(format!("{shown} is too large to be an encryption configuration"))
                .hint("it is the file that the API server has as --encryption-provider-config"));
        }
        let keyring = Keyring::parse(&text).map_err(|error| {
            Failure::new(format!("the encryption configuration {shown}: {error}"))
                .hint("an API server would not start with it; take the file of the cluster as it is")
        })?;
        if everyone {
            let shown = safe(path.as_os_str().as_encoded_bytes());
            context.say(format_args!("note: every user of this machine can read the keys in {shown}"));
        }
        for remark in keyring.remarks() {
            context.say(format_args!("note: {}", safe(remark.to_string().as_bytes())));
        }
        Ok(Some(keyring))
    }
}

/// The bytes of a file, one more than the limit at most, and whether every user
/// may read it.
fn read(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, bool)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let everyone = metadata.is_file() && metadata.mode() & 0o004 != 0;
    // Of full size from the start: a vector that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(Keyring::LIMIT + 64));
    file.take(Keyring::LIMIT as u64 + 1).read_to_end(&mut text)?;
    Ok((text, everyone))
}

/// What to do about a value that was not opened, as a sentence without its end.
pub(crate) fn advice(why: Why) -> &'static str {
    match why {
        Why::NoConfiguration => {
            "--encryption-config FILE opens it: the file that the API server has as --encryption-provider-config"
        }
        Why::PlainText => "add `- identity: {}` as the last provider of the rule",
        Why::Header | Why::Length => {
            "`etcdsnap verify` tells whether the backup is damaged; prefer another copy"
        }
        Why::NotCovered | Why::NoProvider | Why::NoKey => {
            "look for the file as it was when these were written: a key has to stay in it until everything is rewritten"
        }
        Why::WrongKey => "look for the file of the very cluster that this backup is of",
        Why::Altered => {
            "aesgcm binds a value to its etcd key: if the store was moved to another prefix, only the original opens. Otherwise prefer another copy"
        }
        Why::Kms => "an API server with that plugin, and the service with that key, are needed to read it",
        _ => "look for another key file",
    }
}
