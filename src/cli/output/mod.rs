//! Forms of output: each writes to any `io::Write`.

pub(crate) mod boxed;
pub(crate) mod columns;
pub(crate) mod json;
pub(crate) mod shell;
pub(crate) mod size;
pub(crate) mod terminal;
pub(crate) mod text;
