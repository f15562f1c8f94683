//! What a server's answer has and the store has not.
//!
//! A server gives an object its defaults not only when it is created but each
//! time it is read. Most are stored since the creation; these are not, because
//! they are of fields that the creation clears behind the defaults, or follow
//! from such that it fills there.
//!
//! | kind | field | its value |
//! |---|---|---|
//! | Job | `metadata.labels`, if there are none | the labels of its template, to which the creation adds some |
//! | PersistentVolumeClaim, PersistentVolume | `status.phase`, if empty | `Pending` |
//! | CustomResourceDefinition | the whole | in `v1`, although it is stored as `v1beta1`: see [`crd`](super::crd) |
//! | StatefulSet | type of each of `spec.volumeClaimTemplates` | `v1` and `PersistentVolumeClaim`: parts of an object have none, but in Go these are objects by themselves |
//!
//! Defaults that came with a newer release than the one that stored the object
//! are not here: nobody knows the release that would have answered.
//!
//! Source: kubernetes `pkg/apis/{core,batch}/v1/defaults.go`,
//! `pkg/apis/apps/v1/conversion.go`, `pkg/registry/core/persistentvolumeclaim/
//! strategy.go`, 1.35.

use super::{API_VERSION, KIND, METADATA};
use crate::kube::value::{Map, Value};

/// What is to be done to an object of a certain kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    JobLabels,
    PendingPhase,
    ClaimTypes,
    Definition,
}

impl Rule {
    pub(super) fn of(api_version: &[u8], kind: &[u8]) -> Option<Self> {
        match (kind, api_version) {
            (b"Job", b"batch/v1") => Some(Self::JobLabels),
            (b"PersistentVolumeClaim" | b"PersistentVolume", b"v1") => Some(Self::PendingPhase),
            (b"StatefulSet", _) if api_version.starts_with(b"apps/") => Some(Self::ClaimTypes),
            (b"CustomResourceDefinition", b"apiextensions.k8s.io/v1beta1") => Some(Self::Definition),
            _ => None,
        }
    }

    /// A path that the rule looks at, beside those that it changes.
    pub(super) fn looks_at(self) -> Option<&'static str> {
        (self == Self::JobLabels).then_some("spec.template.metadata.labels")
    }

    pub(super) fn apply(self, object: &mut Value<'_>) {
        match self {
            Self::Definition => super::crd::answered(object),
            Self::JobLabels => {
                let labels = object.at(&["spec", "template", METADATA, "labels"]).cloned();
                let Some(labels @ Value::Map(_)) = labels else { return };
                if object.entries(&[METADATA, "labels"]).is_empty()
                    && let Some(metadata) = object.get_mut(METADATA).and_then(Value::as_map_mut)
                {
                    metadata.insert("labels", labels);
                }
            }
            Self::PendingPhase => {
                if !object.text(&["status", "phase"]).is_empty() {
                    return;
                }
                let Some(object) = object.as_map_mut() else { return };
                if object.get("status").is_none_or(|status| *status == Value::Null) {
                    object.insert("status", Map::default().into());
                }
                if let Some(status) = object.get_mut("status").and_then(Value::as_map_mut) {
                    status.insert("phase", "Pending".into());
                }
            }
            Self::ClaimTypes => {
                let claims = object.at_mut(&["spec", "volumeClaimTemplates"]);
                let Some(Value::List(claims)) = claims else { return };
                for claim in claims.iter_mut().filter_map(Value::as_map_mut) {
                    claim.insert(API_VERSION, "v1".into());
                    claim.insert(KIND, "PersistentVolumeClaim".into());
                }
            }
        }
    }
}
