//! `certificates.k8s.io`.

use std::borrow::Cow;

use super::labels::format_labels;
use super::row::{NONE, Row};
use super::{Printer, column};
use crate::kube::human_duration::human_duration;
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "CertificateSigningRequest" => &SIGNING_REQUEST,
        "ClusterTrustBundle" => &TRUST_BUNDLE,
        "PodCertificateRequest" => &POD_REQUEST,
        _ => return None,
    })
}

static SIGNING_REQUEST: Printer = Printer {
    columns: &[
        column("Name"),
        column("Age"),
        column("SignerName").since(18),
        column("Requestor"),
        column("RequestedDuration").since(22),
        column("Condition"),
    ],
    print: signing_request,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.signerName",
        "spec.username",
        "spec.expirationSeconds",
        "status.conditions.type",
        "status.certificate",
    ],
    wide_reads: &[],
};

fn signing_request<'v>(request: &'v Value<'v>, row: &mut Row<'v>) {
    row.name(request);
    row.age(request);
    row.cell(|| match request.at(&["spec", "signerName"]) {
        Some(Value::Str(name)) if !name.is_empty() => &**name,
        // Version v1beta1 did without up to 1.17. Servers since then look into the
        // certificate for those of kubelets; here it stays the signer of all others.
        None | Some(Value::Null) if request.text(&["apiVersion"]).ends_with("/v1beta1") => {
            "kubernetes.io/legacy-unknown"
        }
        _ => NONE,
    });
    row.text(request.text(&["spec", "username"]));
    row.cell(|| match request.int(&["spec", "expirationSeconds"]) {
        None => Cow::Borrowed(NONE),
        Some(seconds) => Cow::Owned(human_duration(seconds)),
    });
    row.cell(|| {
        let has = |wanted: &str| {
            request.items(&["status", "conditions"]).iter().any(|found| found.text(&["type"]) == wanted)
        };
        let mut status = if has("Denied") {
            "Denied"
        } else if has("Approved") {
            "Approved"
        } else {
            "Pending"
        }
        .to_owned();
        if has("Failed") {
            status.push_str(",Failed");
        }
        if !request.text(&["status", "certificate"]).is_empty() {
            status.push_str(",Issued");
        }
        status
    });
}

static TRUST_BUNDLE: Printer = Printer {
    columns: &[column("Name"), column("SignerName")],
    print: |bundle, row| {
        row.name(bundle);
        row.text_or(bundle.text(&["spec", "signerName"]), NONE);
    },
    reads: &["metadata.name", "spec.signerName"],
    wide_reads: &[],
};

static POD_REQUEST: Printer = Printer {
    columns: &[
        column("Name"),
        column("PodName"),
        column("ServiceAccountName"),
        column("NodeName"),
        column("SignerName"),
        column("State"),
        column("UnverifiedUserAnnotations").since(35),
    ],
    print: |request, row| {
        row.name(request);
        for field in ["podName", "serviceAccountName", "nodeName", "signerName"] {
            row.text(request.text(&["spec", field]));
        }
        row.cell(|| {
            let conditions = request.items(&["status", "conditions"]).iter();
            let last = conditions.rev().map(|condition| condition.text(&["type"]));
            last.into_iter()
                .find(|state| matches!(*state, "Issued" | "Denied" | "Failed"))
                .unwrap_or("Pending")
        });
        row.cell(|| format_labels(request.entries(&["spec", "unverifiedUserAnnotations"])));
    },
    reads: &[
        "metadata.name",
        "spec.podName",
        "spec.serviceAccountName",
        "spec.nodeName",
        "spec.signerName",
        "spec.unverifiedUserAnnotations",
        "status.conditions.type",
    ],
    wide_reads: &[],
};
