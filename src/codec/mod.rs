//! Bytes to fields and back, without knowledge of any file format.
//!
//! Everything here is total: a read past the end is an answer (`None` or a
//! fault with an offset), never a panic.

pub mod checksum;
pub mod fixed;
pub mod protobuf;
