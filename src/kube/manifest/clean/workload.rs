//! Jobs and stateful sets.

use super::{FieldGroup, Keep, maps_in, remove, retain_entries};
use crate::kube::value::Value;

/// Labels that the server gives to a job's pods, and from there to the job.
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// Source: kubernetes `pkg/registry/batch/job/strategy.go` (`generateSelector`)
/// and `pkg/apis/batch/validation` ("`selector` not auto-generated"), 1.35.
pub(super) fn clean_job(job: &mut Value<'_>, keep: Keep) {
    if keep.has(FieldGroup::JobSelectors) || job.is_true(&["spec", "manualSelector"]) {
        return;
    }
    remove(job, &["spec", "selector"]);
    let name = job.text(&["metadata", "name"]).to_owned();
    let uid = job.text(&["metadata", "uid"]).to_owned();
    for labels in [&["metadata", "labels"][..], &["spec", "template", "metadata", "labels"]] {
        // A label of that name with another value is somebody's own.
        retain_entries(job, labels, |key, value| {
            let value = value.as_str();
            let generated = (UID_LABELS.contains(&key) && value == Some(&uid))
                || (NAME_LABELS.contains(&key) && value == Some(&name));
            !generated
        });
    }
}

pub(super) fn clean_stateful_set(set: &mut Value<'_>, keep: Keep) {
    if keep.drops(FieldGroup::Status) {
        for claim in maps_in(set, &["spec", "volumeClaimTemplates"]) {
            claim.remove("status");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_cleaned, cleaned};
    use super::*;
    use serde_json::{Value as Json, json};

    fn job(manual: bool) -> Json {
        let labels = json!({
            "batch.kubernetes.io/controller-uid": "0eac", "batch.kubernetes.io/job-name": "once",
            "controller-uid": "0eac", "job-name": "once"
        });
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "once", "namespace": "team-b", "uid": "0eac", "labels": labels},
            "spec": {
                "manualSelector": manual, "completions": 1,
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "0eac"}},
                "template": {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never"}}
            }
        })
    }

    #[test]
    fn a_job_loses_the_selector_that_was_made_for_it() {
        assert_cleaned(
            job(false),
            json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": "team-b"},
                "spec": {
                    "manualSelector": false, "completions": 1,
                    "template": {"metadata": {}, "spec": {"restartPolicy": "Never"}}
                }
            }),
        );
        for (job, keep) in [(job(true), &[][..]), (job(false), &[FieldGroup::JobSelectors])] {
            let kept = cleaned(job, keep);
            assert_eq!(kept.entries(&["metadata", "labels"]).len(), 4);
            assert_eq!(kept.entries(&["spec", "template", "metadata", "labels"]).len(), 4);
            assert!(kept.at(&["spec", "selector"]).is_some());
        }
    }

    #[test]
    fn a_jobs_own_labels_stay() {
        let mut object = job(false);
        object["metadata"]["labels"] = json!({"job-name": "another", "app": "x", "controller-uid": "0eac"});
        let labels = cleaned(object, &[]);
        let labels: Vec<_> =
            labels.entries(&["metadata", "labels"]).iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(labels, ["app", "job-name"]);
    }

    #[test]
    fn claim_templates_have_no_status() {
        assert_cleaned(
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"volumeClaimTemplates": [
                {"kind": "PersistentVolumeClaim", "metadata": {"name": "data", "creationTimestamp": null}, "status": {"phase": "Pending"}}]}}),
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"volumeClaimTemplates": [
                {"kind": "PersistentVolumeClaim", "metadata": {"name": "data"}}]}}),
        );
    }
}
