//! A stored value as an object.
