//! Bytes to fields and back, without knowledge of any file format.
//!
//! Everything here is total: a read past the end is an answer (`None` or a
//! fault with an offset), never a panic.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod checksum;
pub mod display;
pub mod fixed;
pub mod protobuf;
