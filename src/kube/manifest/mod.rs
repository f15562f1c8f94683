//! Objects as manifests that can be applied to another cluster.
