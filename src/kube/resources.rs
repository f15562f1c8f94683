//! The resource types that API servers have built in, and where in etcd their
//! objects are.

use std::sync::LazyLock;

use super::type_name::TypeName;

/// A built-in resource type: of Kubernetes 1.14 to 1.37, or of OpenShift.
///
/// One for each place in etcd. Where two API groups served the same objects
/// (`extensions` and `apps`), `group` is the one that outlived the other.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// As in the path of a request: `deployments`.
    pub plural: &'static str,
    /// `Deployment`.
    pub kind: &'static str,
    /// Abbreviations: `deploy`.
    pub short_names: &'static [&'static str],
    /// `apps`; empty for the core group.
    pub group: &'static str,
    /// Another group under which the same objects are or were served.
    pub also_in: Option<&'static str>,
    /// Whether each object belongs to a namespace.
    pub namespaced: bool,
    /// Where the objects are, below the store's prefix and without slashes at
    /// the ends; `None` if they are not in etcd at all.
    pub path: Option<&'static str>,
}

macro_rules! resources {
    ($($group:literal { $($scope:ident $kind:ident $plural:ident [$($short:ident)*]
        $(also $also:literal)? $(at $path:literal)? $(kept $nowhere:ident)? ;)* })*) => {
        &[$($(Resource {
            plural: stringify!($plural),
            kind: stringify!($kind),
            short_names: &[$(stringify!($short)),*],
            group: $group,
            also_in: first!($(Some($also),)? None),
            namespaced: first!(@scope $scope),
            path: first!($(Some($path),)? $(first!(@path $nowhere),)? Some(stringify!($plural))),
        },)*)*]
    };
}

/// The first of its arguments, of which the leading ones may be missing.
macro_rules! first {
    (@scope namespaced) => {
        true
    };
    (@scope cluster) => {
        false
    };
    (@path nowhere) => {
        None
    };
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}

/// All built-in resource types, by group.
///
/// Source: plural names, kinds and scopes client-go (compared with 0.18, 0.21,
/// 0.25, 0.26, 0.28, 0.30, 0.31, 0.36 and 0.37); short names the `ShortNames` in
/// kubernetes `pkg/registry`; paths kubernetes `SpecialDefaultResourcePrefixes`
/// and `test/integration/etcd/data.go`, OpenShift `specialDefaultResourcePrefixes`
/// (3.x: `StorageOptions`).
pub static RESOURCES: &[Resource] = resources! {
    "" {
        namespaced ConfigMap configmaps [cm];
        namespaced Endpoints endpoints [ep] at "services/endpoints";
        namespaced Event events [ev] also "events.k8s.io";
        namespaced LimitRange limitranges [limits];
        cluster Namespace namespaces [ns];
        cluster Node nodes [no] at "minions";
        namespaced PersistentVolumeClaim persistentvolumeclaims [pvc];
        cluster PersistentVolume persistentvolumes [pv];
        namespaced Pod pods [po];
        namespaced PodTemplate podtemplates [];
        namespaced ReplicationController replicationcontrollers [rc] also "extensions" at "controllers";
        namespaced ResourceQuota resourcequotas [quota];
        namespaced Secret secrets [];
        namespaced ServiceAccount serviceaccounts [sa];
        namespaced Service services [svc] at "services/specs";
        cluster ComponentStatus componentstatuses [cs] kept nowhere;
    }
    "admissionregistration.k8s.io" {
        cluster MutatingAdmissionPolicy mutatingadmissionpolicies [];
        cluster MutatingAdmissionPolicyBinding mutatingadmissionpolicybindings [];
        cluster MutatingWebhookConfiguration mutatingwebhookconfigurations [];
        cluster ValidatingAdmissionPolicy validatingadmissionpolicies [];
        cluster ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings [];
        cluster ValidatingWebhookConfiguration validatingwebhookconfigurations [];
    }
    "apiextensions.k8s.io" {
        cluster CustomResourceDefinition customresourcedefinitions [crd crds]
            at "apiextensions.k8s.io/customresourcedefinitions";
    }
    "apiregistration.k8s.io" {
        cluster APIService apiservices [] at "apiregistration.k8s.io/apiservices";
    }
    "apps" {
        namespaced ControllerRevision controllerrevisions [];
        namespaced DaemonSet daemonsets [ds] also "extensions";
        namespaced Deployment deployments [deploy] also "extensions";
        namespaced ReplicaSet replicasets [rs] also "extensions";
        namespaced StatefulSet statefulsets [sts];
    }
    "auditregistration.k8s.io" {
        cluster AuditSink auditsinks [];
    }
    "autoscaling" {
        namespaced HorizontalPodAutoscaler horizontalpodautoscalers [hpa];
    }
    "batch" {
        namespaced CronJob cronjobs [cj];
        namespaced Job jobs [];
    }
    "certificates.k8s.io" {
        cluster CertificateSigningRequest certificatesigningrequests [csr];
        cluster ClusterTrustBundle clustertrustbundles [];
        namespaced PodCertificateRequest podcertificaterequests [];
    }
    "coordination.k8s.io" {
        namespaced LeaseCandidate leasecandidates [];
        namespaced Lease leases [];
    }
    "discovery.k8s.io" {
        namespaced EndpointSlice endpointslices [];
    }
    "flowcontrol.apiserver.k8s.io" {
        cluster FlowSchema flowschemas [];
        cluster PriorityLevelConfiguration prioritylevelconfigurations [];
    }
    "internal.apiserver.k8s.io" {
        cluster StorageVersion storageversions [];
    }
    "lifecycle.k8s.io" {
        namespaced EvictionRequest evictionrequests [];
        namespaced Eviction evictions [];
    }
    "networking.k8s.io" {
        cluster ClusterCIDR clustercidrs [cc];
        cluster IngressClass ingressclasses [];
        namespaced Ingress ingresses [ing] also "extensions" at "ingress";
        cluster IPAddress ipaddresses [ip];
        namespaced NetworkPolicy networkpolicies [netpol] also "extensions";
        cluster ServiceCIDR servicecidrs [];
    }
    "node.k8s.io" {
        cluster RuntimeClass runtimeclasses [];
    }
    "policy" {
        namespaced PodDisruptionBudget poddisruptionbudgets [pdb];
        cluster PodSecurityPolicy podsecuritypolicies [psp] also "extensions" at "podsecuritypolicy";
    }
    "rbac.authorization.k8s.io" {
        cluster ClusterRoleBinding clusterrolebindings [];
        cluster ClusterRole clusterroles [];
        namespaced RoleBinding rolebindings [];
        namespaced Role roles [];
    }
    "resource.k8s.io" {
        cluster DeviceClass deviceclasses [];
        cluster DeviceTaintRule devicetaintrules [];
        namespaced PodSchedulingContext podschedulingcontexts [];
        namespaced PodScheduling podschedulings [];
        namespaced ResourceClaimParameters resourceclaimparameters [];
        namespaced ResourceClaim resourceclaims [];
        namespaced ResourceClaimTemplate resourceclaimtemplates [];
        cluster ResourceClass resourceclasses [];
        namespaced ResourceClassParameters resourceclassparameters [];
        cluster ResourcePoolStatusRequest resourcepoolstatusrequests [];
        cluster ResourceSlice resourceslices [];
    }
    "scheduling.k8s.io" {
        namespaced CompositePodGroup compositepodgroups [];
        namespaced PodGroup podgroups [];
        cluster PriorityClass priorityclasses [pc];
        namespaced Workload workloads [];
    }
    "settings.k8s.io" {
        namespaced PodPreset podpresets [];
    }
    "storage.k8s.io" {
        cluster CSIDriver csidrivers [];
        cluster CSINode csinodes [];
        namespaced CSIStorageCapacity csistoragecapacities [];
        cluster StorageClass storageclasses [sc];
        cluster VolumeAttachment volumeattachments [];
        cluster VolumeAttributesClass volumeattributesclasses [vac];
    }
    "storagemigration.k8s.io" {
        cluster StorageVersionMigration storageversionmigrations [];
    }
    // OpenShift's own, under `/openshift.io`. Roles and projects are views of what Kubernetes
    // stores; what is served as custom resources is under its group.
    "apps.openshift.io" {
        namespaced DeploymentConfig deploymentconfigs [dc];
    }
    "authorization.openshift.io" {
        cluster ClusterPolicy clusterpolicies [] at "authorization/cluster/policies";
        cluster ClusterPolicyBinding clusterpolicybindings [] at "authorization/cluster/policybindings";
        namespaced Policy policies [] at "authorization/local/policies";
        namespaced PolicyBinding policybindings [] at "authorization/local/policybindings";
        namespaced RoleBindingRestriction rolebindingrestrictions [];
    }
    "build.openshift.io" {
        namespaced BuildConfig buildconfigs [bc];
        namespaced Build builds [];
    }
    "image.openshift.io" {
        cluster Image images [];
        namespaced ImageStream imagestreams [is];
    }
    "network.openshift.io" {
        cluster ClusterNetwork clusternetworks [] at "registry/sdnnetworks";
        namespaced EgressNetworkPolicy egressnetworkpolicies [] at "registry/egressnetworkpolicy";
        cluster HostSubnet hostsubnets [] at "registry/sdnsubnets";
        cluster NetNamespace netnamespaces [] at "registry/sdnnetnamespaces";
    }
    "oauth.openshift.io" {
        cluster OAuthAccessToken oauthaccesstokens [] at "oauth/accesstokens";
        cluster OAuthAuthorizeToken oauthauthorizetokens [] at "oauth/authorizetokens";
        cluster OAuthClientAuthorization oauthclientauthorizations [] at "oauth/clientauthorizations";
        cluster OAuthClient oauthclients [] at "oauth/clients";
    }
    "route.openshift.io" {
        namespaced Route routes [];
    }
    "security.openshift.io" {
        cluster RangeAllocation rangeallocations [];
        cluster SecurityContextConstraints securitycontextconstraints [scc];
    }
    "template.openshift.io" {
        cluster BrokerTemplateInstance brokertemplateinstances [];
        namespaced TemplateInstance templateinstances [];
        namespaced Template templates [];
    }
    "user.openshift.io" {
        cluster Group groups [];
        cluster Identity identities [] at "useridentities";
        cluster User users [];
    }
};

static BY_PATH: LazyLock<Vec<(&'static [u8], &'static Resource)>> = LazyLock::new(|| {
    let mut paths: Vec<_> =
        RESOURCES.iter().filter_map(|resource| Some((resource.path?.as_bytes(), resource))).collect();
    paths.sort_unstable_by_key(|(path, _)| *path);
    paths
});

/// Slashes in the longest path, plus the one behind it.
const MOST_SEGMENTS: usize = 3;

impl Resource {
    /// `deployment`: the kind in small letters, as for every built-in type.
    pub fn singular(&self) -> String {
        self.kind.to_ascii_lowercase()
    }

    /// `deployments.apps`, or `pods` for the core group: kubectl's full name.
    pub fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The type that is stored at the beginning of `rest`, a key without the
    /// store's prefix, and what follows behind the slash.
    pub fn at_path(rest: &[u8]) -> Option<(&'static Self, &[u8])> {
        let slashes = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut found = None;
        for slash in slashes.take(MOST_SEGMENTS) {
            let (path, tail) = rest.split_at_checked(slash)?;
            if let Ok(place) = BY_PATH.binary_search_by_key(&path, |(path, _)| *path) {
                let (_, resource) = BY_PATH.get(place)?;
                found = Some((*resource, tail.get(1..)?));
            }
        }
        found
    }

    /// The type that a user means by `typed`: plural, singular, kind or short
    /// name, in any case, alone or with a group (`deployments.apps`, or its
    /// beginning: `roles.rbac`), or with a version and a group
    /// (`deployment.v1.apps`; the version does not matter, as each object is
    /// stored once).
    pub fn find(typed: &str) -> Option<&'static Self> {
        let typed = TypeName::parse(typed);
        let named = |resource: &&Self| resource.names().any(|name| typed.is_name(name));
        let best = |resource: &Self| {
            let groups = std::iter::once(resource.group).chain(resource.also_in);
            groups.filter_map(|group| typed.fit(group)).max()
        };
        let fits = RESOURCES.iter().filter(named).filter_map(|resource| Some((best(resource)?, resource)));
        // The first of the best: like kubectl, an exact group before a beginning.
        fits.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, resource)| resource)
    }

    /// Everything it is called, without its group: plural, kind, short names.
    /// The singular differs from the kind in case alone.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.plural, self.kind].into_iter().chain(self.short_names.iter().copied())
    }

    /// Whether the type is served under `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.group == group || self.also_in == Some(group)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    fn path_of(typed: &str) -> Option<&'static str> {
        Resource::find(typed)?.path
    }

    #[test]
    fn what_users_type() {
        for typed in ["pods", "pod", "po", "Pod", "PODS", "pods.v1.", "pod.v1", "pods."] {
            assert_eq!(path_of(typed), Some("pods"), "{typed}");
        }
        for typed in [
            "deploy",
            "deployment.apps",
            "deployments.v1.apps",
            "Deployment.v1beta1.extensions",
            "deployments.extensions",
            "deploy.ap",
        ] {
            assert_eq!(path_of(typed), Some("deployments"), "{typed}");
        }
        assert_eq!(path_of("roles.rbac"), Some("roles"));
        assert_eq!(path_of("ev"), Some("events"));
        assert_eq!(path_of("events.v1.events.k8s.io"), Some("events"));
        assert_eq!(path_of("crds"), Some("apiextensions.k8s.io/customresourcedefinitions"));
        assert_eq!(path_of("svc"), Some("services/specs"));
        assert_eq!(path_of("ep"), Some("services/endpoints"));
        assert_eq!(path_of("no"), Some("minions"));
        assert_eq!(path_of("psp"), Some("podsecuritypolicy"));
        assert_eq!(path_of("ingress.networking"), Some("ingress"));
        assert_eq!(path_of("identity"), Some("useridentities"));
        for typed in ["pods.apps", "widgets", "", ".", "..", "pods.metrics.k8s.io", "deployments.v1.batch"] {
            assert_eq!(Resource::find(typed), None, "{typed}");
        }
        assert_eq!(Resource::find("cs").map(|resource| resource.path), Some(None));
    }

    #[test]
    fn every_name_and_every_path_means_one_type() {
        let mut names = HashMap::new();
        let mut paths = HashMap::new();
        for resource in RESOURCES {
            for name in resource.names().map(str::to_ascii_lowercase) {
                let before = names.insert(name.clone(), resource.plural);
                assert!(before.is_none_or(|before| before == resource.plural), "{name}");
                assert_eq!(Resource::find(&name), Some(resource));
            }
            assert_eq!(Resource::find(&resource.full_name()), Some(resource));
            assert_eq!(Resource::find(&resource.singular()), Some(resource));
            let Some(path) = resource.path else { continue };
            assert_eq!(paths.insert(path, resource.plural), None);
            assert!(path.split('/').count() <= MOST_SEGMENTS);
            let key = format!("{path}/rest/of/it");
            assert_eq!(Resource::at_path(key.as_bytes()), Some((resource, &b"rest/of/it"[..])));
        }
    }

    #[test]
    fn the_path_must_be_whole() {
        assert_eq!(Resource::at_path(b"pods"), None);
        assert_eq!(Resource::at_path(b"podsx/a"), None);
        assert_eq!(Resource::at_path(b"services/a"), None);
        assert_eq!(Resource::at_path(b""), None);
        assert_eq!(Resource::at_path(b"///"), None);
        assert!(Resource::at_path(b"pods/").is_some_and(|(_, tail)| tail.is_empty()));
    }

    proptest! {
        #[test]
        fn anything_may_be_asked(typed in ".*", rest: Vec<u8>) {
            let _ = Resource::find(&typed);
            let _ = Resource::at_path(&rest);
        }
    }
}
