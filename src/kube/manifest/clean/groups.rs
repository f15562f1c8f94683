//! Groups of fields that are taken away, each with its name on the command line.

use crate::kube::type_name::nearest;

macro_rules! groups {
    ($($(#[doc = $doc:literal])+ $group:ident = $name:literal;)*) => {
        /// Fields that belong to the cluster an object was in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum FieldGroup {
            $($(#[doc = $doc])+ $group,)*
        }

        impl FieldGroup {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$group),*];

            /// Its name: `cluster-ips`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$group => $name,)*
                }
            }
        }
    };
}

groups! {
    /// Versions of an API that newer servers do not take: the object is brought
    /// into the version that took its place.
    ApiVersions = "api-versions";
    /// What the server writes into `metadata`: `uid`, `resourceVersion`,
    /// `generation`, `selfLink`, `creationTimestamp`, `deletionTimestamp`,
    /// `deletionGracePeriodSeconds`, `managedFields`, `generateName`; the empty
    /// `creationTimestamp` of templates; `uid` and `resourceVersion` in the
    /// `targetRef` of endpoints.
    ServerMetadata = "server-metadata";
    /// `status`, also of a stateful set's claim templates.
    Status = "status";
    /// `metadata.ownerReferences`: they name the owner by its `uid`, so that on
    /// another cluster the garbage collector would delete the object.
    OwnerReferences = "owner-references";
    /// `metadata.finalizers` and a namespace's `spec.finalizers`: where nobody
    /// answers for them, the object could never be deleted.
    Finalizers = "finalizers";
    /// The annotation in which `kubectl apply` keeps what it was given last. It
    /// repeats the whole object, a Secret's data too, and `apply` writes it anew.
    LastApplied = "last-applied";
    /// Annotations and labels in which controllers keep their own state:
    /// `deployment.kubernetes.io/revision`, addresses of pods, and others.
    ControllerMarks = "controller-marks";
    /// A Service's `clusterIP` and `clusterIPs` unless it is headless;
    /// `ipFamilies` and `ipFamilyPolicy` where nobody but the server set them.
    ClusterIps = "cluster-ips";
    /// A Service's `nodePort`s where nobody but the server set them.
    NodePorts = "node-ports";
    /// A Service's `healthCheckNodePort` where nobody but the server set it.
    HealthCheckNodePorts = "health-check-node-ports";
    /// A Pod's `nodeName`; a Node's `podCIDR`, `podCIDRs` and `providerID`.
    NodeNames = "node-names";
    /// The volume with a service account's token that admission adds to a Pod,
    /// and where it is mounted.
    TokenVolumes = "token-volumes";
    /// The two tolerations of 300 seconds that admission adds to a Pod.
    Tolerations = "tolerations";
    /// What admission computes of a Pod's classes: `priority`,
    /// `preemptionPolicy`, and `overhead`. A server refuses other values.
    ClassValues = "class-values";
    /// A Pod's `ephemeralContainers`: none can be created with any.
    EphemeralContainers = "ephemeral-containers";
    /// Which volume a claim was bound to by the controller, the annotations that
    /// go with it, and the `uid` and `resourceVersion` in a volume's `claimRef`.
    VolumeNames = "volume-names";
    /// A Job's selector and the labels that go with it, unless they were made by
    /// hand (`manualSelector`).
    JobSelectors = "job-selectors";
    /// References to token and pull secrets whose names were generated; of a
    /// service-account token, its data and the account's `uid`.
    ServiceAccountSecrets = "service-account-secrets";
    /// The `rules` of a ClusterRole that are put together from other roles.
    AggregatedRules = "aggregated-rules";
    /// An OpenShift Route's `host` where it was generated.
    RouteHosts = "route-hosts";
}

/// A name that no group has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no group of fields {typed:?}")]
pub struct UnknownGroup {
    /// What was typed.
    pub typed: String,
    /// Names it is near to.
    pub nearest: Vec<&'static str>,
}

impl std::str::FromStr for FieldGroup {
    type Err = UnknownGroup;

    fn from_str(typed: &str) -> Result<Self, UnknownGroup> {
        Self::ALL.iter().copied().find(|group| group.name() == typed).ok_or_else(|| UnknownGroup {
            typed: typed.to_owned(),
            nearest: nearest(typed, Self::ALL.iter().map(|group| group.name())),
        })
    }
}

/// The groups that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep(u32);

impl Keep {
    fn bit(group: FieldGroup) -> u32 {
        1u32.wrapping_shl(group as u32)
    }

    /// Whether `group` stays.
    pub fn has(self, group: FieldGroup) -> bool {
        self.0 & Self::bit(group) != 0
    }

    /// Whether `group` goes.
    pub(super) fn drops(self, group: FieldGroup) -> bool {
        !self.has(group)
    }
}

impl FromIterator<FieldGroup> for Keep {
    fn from_iter<I: IntoIterator<Item = FieldGroup>>(groups: I) -> Self {
        Self(groups.into_iter().fold(0, |bits, group| bits | Self::bit(group)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_found_by_its_name_and_has_a_bit_of_its_own() {
        let mut seen = 0;
        for group in FieldGroup::ALL {
            assert_eq!(group.name().parse(), Ok(*group));
            assert_eq!(seen & Keep::bit(*group), 0, "{}", group.name());
            seen |= Keep::bit(*group);
            let keep: Keep = [*group].into_iter().collect();
            assert!(FieldGroup::ALL.iter().all(|other| keep.has(*other) == (other == group)));
        }
        let unknown = "cluster-ip".parse::<FieldGroup>().expect_err("not a group");
        assert_eq!(unknown.nearest, ["cluster-ips"]);
    }

    #[test]
    fn every_group_is_explained_in_the_docs() {
        let docs = include_str!("../../../../docs/export.md");
        for group in FieldGroup::ALL {
            assert!(docs.contains(&format!("| `{}` |", group.name())), "{}", group.name());
        }
    }
}
