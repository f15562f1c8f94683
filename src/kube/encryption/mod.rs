//! Encryption at rest: the cluster's own key file, and values opened with it.
