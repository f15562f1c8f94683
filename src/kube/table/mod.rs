//! The columns that the API server prints for each built-in kind.
