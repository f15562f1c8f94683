//! Reads etcd snapshot files offline.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

pub mod bolt;
pub mod codec;
pub mod etcd;
pub mod kube;
pub mod ops;
pub mod source;
