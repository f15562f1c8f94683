//! One file per command: its arguments, whose comments are the help, and `run`.

pub(crate) mod api_resources;
pub(crate) mod carve;
pub(crate) mod completion;
pub(crate) mod decode;
pub(crate) mod encryption;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod hashkv;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod members;
pub(crate) mod page;
pub(crate) mod pages;
pub(crate) mod repack;
pub(crate) mod restore;
pub(crate) mod salvage;
pub(crate) mod status;
pub(crate) mod tree;
pub(crate) mod value;
pub(crate) mod verify;
pub(crate) mod version;

/// `-o` of commands that answer with one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PageFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// `-w` of commands that can answer with upstream's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum UpstreamFormat {
    Simple,
    Json,
    Table,
    Fields,
}

/// `-o` of commands that list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ListFormat {
    /// Columns with titles
    Table,
    /// One JSON document
    Json,
    /// One JSON document per line
    Jsonl,
    /// Names alone, one per line
    Name,
    /// Names alone, byte for byte, each with a zero byte behind
    Raw0,
}

/// Version of the form of all JSON that is written.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// Writes one JSON document, indented, with a newline behind.
pub(crate) fn write_json(
    out: &mut dyn std::io::Write,
    document: &impl serde::Serialize,
) -> Result<(), super::failure::Failure> {
    crate::cli::output::json::write_page(out, document)?;
    Ok(())
}
