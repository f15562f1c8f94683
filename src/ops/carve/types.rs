//! Whether the types that are asked for are any.

use crate::bolt::Db;
use crate::etcd::remnant::Remnant;
use crate::kube::registry_key::Prefixes;

use super::super::list::{self, UnknownType};
use super::super::{Progress, Settings};
use super::label::{is_built_in, is_named};
use super::{Carved, Label};

impl Carved<'_> {
    /// The first of `typed` that is neither built in nor a type of anything in the file,
    /// found or alive.
    pub fn unknown_type(
        &self,
        typed: &[String],
        prefixes: &Prefixes,
        settings: &Settings<'_>,
    ) -> Option<UnknownType> {
        let mut unknown: Vec<&String> = typed.iter().filter(|typed| !is_built_in(typed)).collect();
        for found in &self.found {
            if unknown.is_empty() {
                return None;
            }
            // Only keys can name what is not built in.
            if let Some(remnant @ Remnant::Record { .. }) = found.read(self.file) {
                let label = Label::of(&remnant, prefixes);
                unknown.retain(|typed| !is_named(typed, &label.type_name));
            }
        }
        let types: Vec<String> = unknown.into_iter().cloned().collect();
        let first = UnknownType { typed: types.first()?.clone(), nearest: Vec::new() };
        let Ok(db) = Db::open(self.file) else { return Some(first) };
        let progress = Progress::default();
        let settings = Settings { skip_damaged: true, progress: &progress, ..*settings };
        let selection = list::Selection { types, prefixes: prefixes.clone(), ..list::Selection::default() };
        match list::list(&db, &selection, &settings) {
            Ok(listing) => listing.unknown.into_iter().next(),
            // Nothing is alive that could be read.
            Err(_) => Some(first),
        }
    }
}
