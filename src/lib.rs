//! Reads etcd snapshot files offline.
#![doc = ""]
pub mod bolt;
pub mod codec;
pub mod etcd;
pub mod kube;
pub mod ops;
pub mod source;
