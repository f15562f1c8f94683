//! Objects as manifests that can be applied to another cluster.
//!
//! ```text
//! object ─▶ scope       is its type and namespace asked for
//!        ─▶ left_out    does the other cluster make it by itself, or should it not be made again
//!        ─▶ clean       without what only the old cluster could know
//!        ─▶ namespaces  under other names of namespaces
//!        ─▶ redact      without what must stay secret
//!        ─▶ order       where in the output
//!        ─▶ file_name   and in which file
//! ```
//!
//! Everything here looks at objects as they are stored, in whatever version of
//! their API; nothing is converted. `docs/export.md` lists what is left out and
//! taken away, and why.

pub mod clean;
pub mod file_name;
pub mod identity;
pub mod left_out;
pub mod namespaces;
pub mod needs;
pub mod order;
mod provenance;
pub mod redact;
pub mod scope;
