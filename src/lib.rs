//! Reads etcd snapshot files offline.
#![doc = ""]
pub mod bolt;
pub mod codec;
pub mod etcd;
pub mod source;
