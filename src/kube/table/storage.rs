//! Volumes, claims and `storage.k8s.io`.

use std::borrow::Cow;

use super::row::{NONE, Row, UNSET, instant, joined, length, scalar, set, set_flag, set_text};
use super::{DEFAULT, Printer, column, wide};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "StorageClass" => &STORAGE_CLASS,
        "VolumeAttachment" => &VOLUME_ATTACHMENT,
        "VolumeAttributesClass" => &VOLUME_ATTRIBUTES_CLASS,
        "CSINode" => &CSI_NODE,
        "CSIDriver" => &CSI_DRIVER,
        // It has columns, but its registry does not use them.
        "CSIStorageCapacity" => &DEFAULT,
        _ => return None,
    })
}

pub(super) static VOLUME: Printer = Printer {
    columns: &[
        column("Name"),
        column("Capacity"),
        column("Access Modes"),
        column("Reclaim Policy"),
        column("Status"),
        column("Claim"),
        column("StorageClass"),
        column("VolumeAttributesClass").since(29),
        column("Reason"),
        column("Age"),
        wide("VolumeMode").since(15),
    ],
    print: volume,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "metadata.annotations",
        "spec.capacity",
        "spec.accessModes",
        "spec.persistentVolumeReclaimPolicy",
        "spec.claimRef.namespace",
        "spec.claimRef.name",
        "spec.storageClassName",
        "spec.volumeAttributesClassName",
        "status.phase",
        "status.reason",
    ],
    wide_reads: &["spec.volumeMode"],
};

fn volume<'v>(volume: &'v Value<'v>, row: &mut Row<'v>) {
    let release = row.context.release;
    row.name(volume);
    row.cell(|| storage(volume.at(&["spec", "capacity"])));
    row.cell(|| access_modes(volume.items(&["spec", "accessModes"]), release));
    row.text_or(volume.text(&["spec", "persistentVolumeReclaimPolicy"]), "Retain");
    phase(volume, row);
    row.cell(|| match set(volume, &["spec", "claimRef"]) {
        None => String::new(),
        Some(claim) => format!("{}/{}", claim.text(&["namespace"]), claim.text(&["name"])),
    });
    row.text(class(volume));
    row.cell(|| set_text(volume, &["spec", "volumeAttributesClassName"]).unwrap_or(UNSET));
    row.text(volume.text(&["status", "reason"]));
    row.age(volume);
    row.cell(|| set_text(volume, &["spec", "volumeMode"]).unwrap_or("Filesystem"));
}

pub(super) static CLAIM: Printer = Printer {
    columns: &[
        column("Name"),
        column("Status"),
        column("Volume"),
        column("Capacity"),
        column("Access Modes"),
        column("StorageClass"),
        column("VolumeAttributesClass").since(29),
        column("Age"),
        wide("VolumeMode").since(15),
    ],
    print: claim,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "metadata.annotations",
        "spec.volumeName",
        "spec.storageClassName",
        "spec.volumeAttributesClassName",
        "status.phase",
        "status.capacity",
        "status.accessModes",
    ],
    wide_reads: &["spec.volumeMode"],
};

fn claim<'v>(claim: &'v Value<'v>, row: &mut Row<'v>) {
    let release = row.context.release;
    let volume = claim.text(&["spec", "volumeName"]);
    row.name(claim);
    phase(claim, row);
    row.text(volume);
    row.cell(|| match volume {
        "" => Cow::Borrowed(""),
        _ => storage(claim.at(&["status", "capacity"])),
    });
    row.cell(|| match volume {
        "" => String::new(),
        _ => access_modes(claim.items(&["status", "accessModes"]), release),
    });
    row.text(class(claim));
    row.cell(|| set_text(claim, &["spec", "volumeAttributesClassName"]).unwrap_or(UNSET));
    row.age(claim);
    row.cell(|| set_text(claim, &["spec", "volumeMode"]).unwrap_or("Filesystem"));
}

fn phase<'v>(object: &'v Value<'v>, row: &mut Row<'v>) {
    match set(object, &["metadata", "deletionTimestamp"]) {
        Some(_) => row.text("Terminating"),
        None => row.text_or(object.text(&["status", "phase"]), "Pending"),
    }
}

/// The quantity of storage in a list of resources.
fn storage<'v>(resources: Option<&'v Value<'v>>) -> Cow<'v, str> {
    resources.and_then(|resources| resources.get("storage")).map_or(Cow::Borrowed("0"), scalar)
}

/// `RWO,ROX`, always in one order.
fn access_modes(modes: &[Value<'_>], release: u16) -> String {
    const SHORT: [(&str, &str); 4] = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let has = |name: &str| modes.iter().any(|mode| mode.as_str() == Some(name));
    let known = if release < 22 { 3 } else { SHORT.len() };
    let short: Vec<_> =
        SHORT.into_iter().take(known).filter(|(name, _)| has(name)).map(|(_, short)| short).collect();
    short.join(",")
}

/// The annotation of old comes before the field.
fn class<'v>(object: &'v Value<'v>) -> &'v str {
    set_text(object, &["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"])
        .unwrap_or_else(|| object.text(&["spec", "storageClassName"]))
}

static STORAGE_CLASS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Provisioner"),
        column("ReclaimPolicy").since(17),
        column("VolumeBindingMode").since(17),
        column("AllowVolumeExpansion").since(17),
        column("Age"),
    ],
    print: storage_class,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.annotations",
        "provisioner",
        "reclaimPolicy",
        "volumeBindingMode",
        "allowVolumeExpansion",
    ],
    wide_reads: &[],
};

fn storage_class<'v>(class: &'v Value<'v>, row: &mut Row<'v>) {
    let name = class.text(&["metadata", "name"]);
    let default = match row.context.release {
        ..37 => is_default(class),
        _ => !name.is_empty() && row.context.default_storage_class.as_deref() == Some(name),
    };
    row.cell(|| if default { Cow::Owned(format!("{name} (default)")) } else { Cow::Borrowed(name) });
    row.text(class.text(&["provisioner"]));
    row.cell(|| set_text(class, &["reclaimPolicy"]).unwrap_or("Delete"));
    row.cell(|| set_text(class, &["volumeBindingMode"]).unwrap_or("Immediate"));
    row.flag(class.is_true(&["allowVolumeExpansion"]));
    row.age(class);
}

fn is_default(class: &Value<'_>) -> bool {
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
        .iter()
        .any(|name| class.text(&["metadata", "annotations", name]) == "true")
}

/// The name of the class that a list marks as default from 1.37 on: of those that
/// claim to be the youngest, of equals the first by name. Lists of older servers
/// mark each that claims to be; a class asked for by name is never marked from
/// 1.37 on.
///
/// Source: kubernetes `getEffectiveDefaultStorageClass`, 1.37.
pub fn effective_default_storage_class<'v>(
    classes: impl IntoIterator<Item = &'v Value<'v>>,
) -> Option<String> {
    let claiming = classes.into_iter().filter(|class| is_default(class));
    let key = |class: &&Value<'_>| {
        let made = instant(class.at(&["metadata", "creationTimestamp"]));
        (made, std::cmp::Reverse(class.text(&["metadata", "name"]).to_owned()))
    };
    claiming.max_by_key(key).map(|class| class.text(&["metadata", "name"]).to_owned())
}

static VOLUME_ATTRIBUTES_CLASS: Printer = Printer {
    columns: &[column("Name"), column("DriverName"), column("Age")],
    print: |class, row| {
        // Marked up to 1.33, although nothing ever set it.
        let mark = "volumeattributesclass.alpha.kubernetes.io/is-default-class";
        let default = row.context.release < 34 && class.text(&["metadata", "annotations", mark]) == "true";
        let name = class.text(&["metadata", "name"]);
        row.cell(|| if default { Cow::Owned(format!("{name} (default)")) } else { Cow::Borrowed(name) });
        row.text(class.text(&["driverName"]));
        row.age(class);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "metadata.annotations", "driverName"],
    wide_reads: &[],
};

static VOLUME_ATTACHMENT: Printer = Printer {
    columns: &[
        column("Name"),
        column("Attacher"),
        column("PV"),
        column("Node"),
        column("Attached"),
        column("Age"),
    ],
    print: |attachment, row| {
        row.name(attachment);
        row.text(attachment.text(&["spec", "attacher"]));
        row.text(attachment.text(&["spec", "source", "persistentVolumeName"]));
        row.text(attachment.text(&["spec", "nodeName"]));
        row.flag(attachment.is_true(&["status", "attached"]));
        row.age(attachment);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.attacher",
        "spec.source.persistentVolumeName",
        "spec.nodeName",
        "status.attached",
    ],
    wide_reads: &[],
};

static CSI_NODE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Drivers").since(18),
        column("Age").since(18),
        column("Created At").until(17),
    ],
    print: |node, row| {
        row.name(node);
        row.number(length(node.items(&["spec", "drivers"]).len()));
        row.age(node);
        row.created(node);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.drivers.name"],
    wide_reads: &[],
};

static CSI_DRIVER: Printer = Printer {
    columns: &[
        column("Name"),
        column("AttachRequired").since(18),
        column("PodInfoOnMount").since(18),
        column("StorageCapacity").since(21),
        column("TokenRequests").since(21),
        column("RequiresRepublish").since(21),
        column("Modes").since(18),
        column("Age").since(18),
        column("Created At").until(17),
    ],
    print: csi_driver,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.attachRequired",
        "spec.podInfoOnMount",
        "spec.storageCapacity",
        "spec.tokenRequests",
        "spec.requiresRepublish",
        "spec.volumeLifecycleModes",
    ],
    wide_reads: &[],
};

fn csi_driver<'v>(driver: &'v Value<'v>, row: &mut Row<'v>) {
    row.name(driver);
    row.flag(set_flag(driver, &["spec", "attachRequired"]).unwrap_or(true));
    row.flag(driver.is_true(&["spec", "podInfoOnMount"]));
    row.flag(driver.is_true(&["spec", "storageCapacity"]));
    row.cell(|| match set(driver, &["spec", "tokenRequests"]) {
        None => Cow::Borrowed(UNSET),
        Some(_) => {
            let requests = driver.items(&["spec", "tokenRequests"]).iter();
            Cow::Owned(requests.map(|request| request.text(&["audience"])).collect::<Vec<_>>().join(","))
        }
    });
    row.flag(driver.is_true(&["spec", "requiresRepublish"]));
    row.cell(|| match driver.items(&["spec", "volumeLifecycleModes"]) {
        [] => Cow::Borrowed("Persistent"),
        // Go's form of a list of one empty text is empty as well.
        modes => match joined(modes, ",") {
            text if text.is_empty() => Cow::Borrowed(NONE),
            text => text,
        },
    });
    row.age(driver);
    row.created(driver);
}
