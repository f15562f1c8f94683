//! Webhooks and policies that decide on requests.

use std::borrow::Cow;

use super::labels::debug_selector;
use super::row::{Row, UNSET, length, set};
use super::{Printer, column};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => &WEBHOOKS,
        "ValidatingAdmissionPolicy" => &VALIDATING_POLICY,
        "MutatingAdmissionPolicy" => &MUTATING_POLICY,
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => &POLICY_BINDING,
        _ => return None,
    })
}

static WEBHOOKS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Webhooks").since(18),
        column("Age").since(18),
        column("Created At").until(17),
    ],
    print: |configuration, row| {
        row.name(configuration);
        row.number(length(configuration.items(&["webhooks"]).len()));
        row.age(configuration);
        row.created(configuration);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "webhooks.name"],
    wide_reads: &[],
};

static VALIDATING_POLICY: Printer = Printer {
    columns: &[column("Name"), column("Validations"), column("ParamKind"), column("Age")],
    print: |object, row| policy(object, "validations", row),
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.validations.expression", "spec.paramKind"],
    wide_reads: &[],
};

static MUTATING_POLICY: Printer = Printer {
    columns: &[column("Name"), column("Mutations"), column("ParamKind"), column("Age")],
    print: |object, row| policy(object, "mutations", row),
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.mutations.patchType", "spec.paramKind"],
    wide_reads: &[],
};

fn policy<'v>(policy: &'v Value<'v>, rules: &str, row: &mut Row<'v>) {
    row.name(policy);
    row.number(length(policy.items(&["spec", rules]).len()));
    row.cell(|| match set(policy, &["spec", "paramKind"]) {
        None => Cow::Borrowed(UNSET),
        Some(kind) => Cow::Owned(format!("{}/{}", kind.text(&["apiVersion"]), kind.text(&["kind"]))),
    });
    row.age(policy);
}

static POLICY_BINDING: Printer = Printer {
    columns: &[column("Name"), column("PolicyName"), column("ParamRef"), column("Age")],
    print: |binding, row| {
        let release = row.context.release;
        row.name(binding);
        row.text(binding.text(&["spec", "policyName"]));
        row.cell(|| match set(binding, &["spec", "paramRef"]) {
            None => Cow::Borrowed(UNSET),
            Some(reference) => parameters(reference, release),
        });
        row.age(binding);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.policyName", "spec.paramRef"],
    wide_reads: &[],
};

/// `NAMESPACE/NAME`, `*` for the namespace if it is that of the object.
fn parameters<'v>(reference: &'v Value<'v>, release: u16) -> Cow<'v, str> {
    match (reference.text(&["namespace"]), reference.text(&["name"])) {
        ("", name) if release < 28 => Cow::Borrowed(name),
        (namespace, name) if release < 28 => Cow::Owned(format!("{namespace}/{name}")),
        (_, "") => match set(reference, &["selector"]) {
            None => Cow::Borrowed(UNSET),
            Some(selector) => Cow::Owned(debug_selector(selector)),
        },
        ("", name) => Cow::Owned(format!("*/{name}")),
        (namespace, name) => Cow::Owned(format!("{namespace}/{name}")),
    }
}
