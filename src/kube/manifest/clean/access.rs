//! Service accounts, their secrets, and roles.

use super::generated_name::is_generated;
use super::{FieldGroup, Keep, retain_entries, retain_items};
use crate::kube::value::Value;

/// Secrets that the controller (before 1.24) or OpenShift made for an account are
/// made anew, under other names.
pub(super) fn clean_service_account(account: &mut Value<'_>, keep: Keep) {
    if keep.has(FieldGroup::ServiceAccountSecrets) {
        return;
    }
    let name = account.text(&["metadata", "name"]).to_owned();
    for list in ["secrets", "imagePullSecrets"] {
        retain_items(account, &[list], |secret| !is_made_for(secret.text(&["name"]), &name));
    }
}

/// Whether `secret` is one that a controller made for the service account.
pub(in crate::kube::manifest) fn is_made_for(secret: &str, account: &str) -> bool {
    ["token", "dockercfg"].iter().any(|kind| is_generated(secret, &format!("{account}-{kind}-")))
}

/// A token is signed by the old cluster. Without its data the controller makes
/// one; with the `uid` of an account that is gone it deletes the secret.
///
/// Source: kubernetes `pkg/controller/serviceaccount/tokens_controller.go`, 1.35.
pub(super) fn clean_secret(secret: &mut Value<'_>, keep: Keep) {
    if keep.has(FieldGroup::ServiceAccountSecrets)
        || secret.text(&["type"]) != "kubernetes.io/service-account-token"
    {
        return;
    }
    retain_entries(secret, &["metadata", "annotations"], |name, _| {
        name != "kubernetes.io/service-account.uid"
    });
    retain_entries(secret, &["data"], |name, _| !["ca.crt", "namespace", "token"].contains(&name));
}

/// Source: kubernetes `pkg/controller/clusterroleaggregation`, 1.35.
pub(super) fn clean_cluster_role(role: &mut Value<'_>, keep: Keep) {
    let is_aggregated = role.get("aggregationRule").is_some_and(|rule| *rule != Value::Null);
    if keep.drops(FieldGroup::AggregatedRules)
        && is_aggregated
        && let Some(rules) = role.get_mut("rules")
    {
        *rules = Value::List(Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_cleaned, cleaned};
    use super::*;
    use serde_json::json;

    #[test]
    fn an_account_keeps_the_secrets_that_somebody_gave_it() {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"},
            "secrets": [{"name": "robot-token-x7k2z"}, {"name": "robot-dockercfg-bcdfg"}],
            "imagePullSecrets": [{"name": "robot-dockercfg-bcdfg"}, {"name": "registry"}]
        });
        assert_cleaned(
            account.clone(),
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"},
                "imagePullSecrets": [{"name": "registry"}]
            }),
        );
        assert_eq!(cleaned(account.clone(), &[FieldGroup::ServiceAccountSecrets]), Value::from(account));
    }

    #[test]
    fn a_token_is_to_be_made_anew() {
        assert_cleaned(
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
                "metadata": {"name": "t", "annotations": {
                    "kubernetes.io/service-account.name": "robot", "kubernetes.io/service-account.uid": "1"}},
                "data": {"ca.crt": "YQ==", "namespace": "YQ==", "token": "YQ==", "mine": "YQ=="}
            }),
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
                "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "robot"}},
                "data": {"mine": "YQ=="}
            }),
        );
        let opaque = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}, "data": {"token": "YQ=="}});
        assert_cleaned(opaque.clone(), opaque);
    }

    #[test]
    fn only_rules_that_are_put_together_are_emptied() {
        let rules = json!([{"verbs": ["get"]}]);
        assert_cleaned(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"},
                "aggregationRule": {"clusterRoleSelectors": []}, "rules": rules}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"},
                "aggregationRule": {"clusterRoleSelectors": []}, "rules": []}),
        );
        let plain = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"}, "rules": rules});
        assert_cleaned(plain.clone(), plain);
    }
}
