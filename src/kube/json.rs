//! JSON: read as Kubernetes reads it, written as kubectl writes it.
