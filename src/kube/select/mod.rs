//! Which objects: types, labels, fields and paths, as kubectl has them.
