//! The fields of every built-in type, as a table made from the Go types.
