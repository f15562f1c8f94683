//! The types that a store has: which built-in ones that not every server has, and
//! what it defines itself. Looked up only if what was typed may depend on it.

use etcdsnap::bolt::Db;
use etcdsnap::kube::object::Options;
use etcdsnap::kube::select::arguments::Request;
use etcdsnap::kube::select::crd::Crd;
use etcdsnap::kube::select::types::Types;
use etcdsnap::ops::list::{Count, Listed, ObjectListing, Selection, list};
use etcdsnap::ops::objects::StoredObject;
use etcdsnap::ops::reader::{Buffer, Outcome, Reader};
use etcdsnap::ops::{OpError, Settings};

use super::unshown::Unshown;

/// The types that `requests` may mean; all there are, if there are none, and with
/// `known` also those that nothing is stored of. Also what is known of definitions
/// that cannot be read.
pub(crate) fn types(
    db: &Db<'_>,
    requests: Option<&[&Request]>,
    known: bool,
    reader: &Reader<'_>,
    revision: Option<i64>,
    settings: &Settings<'_>,
) -> Result<(Types, Unshown), OpError> {
    if requests.is_some_and(|requests| !requests.iter().any(|request| Types::needs_crds(request))) {
        return Ok((Types::default(), Unshown::default()));
    }
    let selection = Selection { revision, prefixes: reader.prefixes.clone(), ..Selection::default() };
    let listing = list(db, &selection, settings)?;
    let (mut crds, unread) = definitions(&listing, reader, settings);
    let counts = listing.counts(settings.threads);
    let counts: Vec<&Count<'_>> = counts.iter().filter(|count| !count.type_key.internal).collect();
    let present = Types::new(Vec::new(), |_| true);
    for count in &counts {
        let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty());
        let (Some(plural), Some(group)) = (text(count.type_key.resource), text(count.type_key.group)) else {
            continue;
        };
        let known = crds.iter().any(|crd| crd.plural == plural && crd.group == group)
            || present.all().any(|built_in| built_in.plural() == plural && built_in.group() == group);
        if !known {
            crds.push(Crd::undefined(group, plural, count.namespace.is_some()));
        }
    }
    let is_present = |plural: &str, group: &str| {
        counts.iter().any(|count| {
            count.type_key.resource == plural.as_bytes() && count.type_key.group == group.as_bytes()
        })
    };
    Ok((Types::new(crds, |resource| known || is_present(resource.plural, resource.group)), unread))
}

/// Definitions, and what is known of those that cannot be read.
fn definitions(
    listing: &ObjectListing<'_>,
    reader: &Reader<'_>,
    settings: &Settings<'_>,
) -> (Vec<Crd>, Unshown) {
    let reader = Reader {
        keys: reader.keys,
        options: Options::default(),
        prefixes: reader.prefixes.clone(),
        ..Reader::default()
    };
    let mut definitions = Vec::new();
    let mut unread = Unshown::default();
    listing.in_file_order(
        settings.threads,
        |run| {
            let mut buffer = Buffer::default();
            let (mut definitions, mut unread) = (Vec::new(), Unshown::default());
            for listed in run.filter(is_definition) {
                let Some(record) = listed.record() else { continue };
                let stored = StoredObject { namespace: None, name: listed.name(), record };
                reader.read(&stored, &mut buffer, |outcome| match outcome {
                    Outcome::Object { object, .. } => match Crd::read(&object.value) {
                        Ok(definition) => definitions.push(definition),
                        Err(why) => unread.unreadable_for(why.to_string()),
                    },
                    Outcome::Unreadable { why, .. } => unread.unreadable(&why),
                    Outcome::NotSelected => {}
                });
            }
            (definitions, unread)
        },
        |(run, more)| {
            definitions.extend(run);
            unread.merge(more);
        },
    );
    (definitions, unread)
}

fn is_definition(listed: &Listed<'_>) -> bool {
    let built_in = listed.registry.object().and_then(|object| object.built_in);
    built_in.is_some_and(|of| (of.group, of.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition"))
}
