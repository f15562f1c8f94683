//! Volumes and claims.
//!
//! Without a `uid` in its `claimRef` a volume is reserved for the claim of that
//! name, and the controller binds the two again.
//!
//! Source: kubernetes `pkg/controller/volume/persistentvolume/{pv_controller,
//! index}.go`, `staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go`,
//! 1.35.

use super::{FieldGroup, Keep, remove, retain_entries};
use crate::kube::value::Value;

/// On a claim: its `volumeName` was chosen by the controller. On a volume: its
/// `claimRef` was.
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// What binding and provisioning leave on a claim.
const CLAIM_ANNOTATIONS: [&str; 8] = [
    BOUND_BY_CONTROLLER,
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/migrated-to",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/migrated-to",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-resizer",
];

pub(super) fn clean_claim(claim: &mut Value<'_>, keep: Keep) {
    if keep.has(FieldGroup::VolumeNames) {
        return;
    }
    // Without the annotation its author asked for that very volume.
    if claim.at(&["metadata", "annotations", BOUND_BY_CONTROLLER]).is_some() {
        remove(claim, &["spec", "volumeName"]);
    }
    retain_entries(claim, &["metadata", "annotations"], |name, _| !CLAIM_ANNOTATIONS.contains(&name));
}

pub(super) fn clean_volume(volume: &mut Value<'_>, keep: Keep) {
    if keep.has(FieldGroup::VolumeNames) {
        return;
    }
    remove(volume, &["spec", "claimRef", "uid"]);
    remove(volume, &["spec", "claimRef", "resourceVersion"]);
    retain_entries(volume, &["metadata", "annotations"], |name, _| name != BOUND_BY_CONTROLLER);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_cleaned, cleaned};
    use super::*;
    use serde_json::{Value as Json, json};

    fn claim(annotations: Json, spec: Json) -> Json {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec,
            "metadata": {"name": "data", "namespace": "shop", "annotations": annotations}})
    }

    #[test]
    fn a_claim_that_the_controller_bound_is_free_again() {
        let bound = claim(
            json!({
                "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
                "volume.beta.kubernetes.io/storage-provisioner": "ebs.csi.aws.com",
                "volume.kubernetes.io/storage-provisioner": "ebs.csi.aws.com",
                "volume.kubernetes.io/selected-node": "node1", "mine": "yes"
            }),
            json!({"storageClassName": "fast", "volumeName": "pvc-1"}),
        );
        assert_cleaned(bound.clone(), claim(json!({"mine": "yes"}), json!({"storageClassName": "fast"})));
        assert_eq!(cleaned(bound.clone(), &[FieldGroup::VolumeNames]), Value::from(bound));
    }

    #[test]
    fn a_claim_for_a_certain_volume_still_asks_for_it() {
        let object =
            claim(json!({"pv.kubernetes.io/bind-completed": "yes", "a": "b"}), json!({"volumeName": "nfs"}));
        assert_cleaned(object, claim(json!({"a": "b"}), json!({"volumeName": "nfs"})));
    }

    #[test]
    fn a_volume_waits_for_the_claim_of_that_name() {
        let volume = |annotations: Json, claim: Json| {
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv", "annotations": annotations},
                "spec": {"claimRef": claim, "csi": {"volumeHandle": "vol-1"}}})
        };
        assert_cleaned(
            volume(
                json!({"pv.kubernetes.io/bound-by-controller": "yes", "pv.kubernetes.io/provisioned-by": "ebs"}),
                json!({"kind": "PersistentVolumeClaim", "name": "data", "namespace": "shop", "uid": "1", "resourceVersion": "2"}),
            ),
            volume(
                json!({"pv.kubernetes.io/provisioned-by": "ebs"}),
                json!({"kind": "PersistentVolumeClaim", "name": "data", "namespace": "shop"}),
            ),
        );
    }
}
