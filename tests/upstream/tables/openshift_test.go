package tables

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/printers"

	_ "github.com/openshift/openshift-apiserver/pkg/apps/apis/apps/install"
	apps "github.com/openshift/openshift-apiserver/pkg/apps/printers/internalversion"
	_ "github.com/openshift/openshift-apiserver/pkg/authorization/apis/authorization/install"
	authorization "github.com/openshift/openshift-apiserver/pkg/authorization/printers/internalversion"
	_ "github.com/openshift/openshift-apiserver/pkg/build/apis/build/install"
	build "github.com/openshift/openshift-apiserver/pkg/build/printers/internalversion"
	_ "github.com/openshift/openshift-apiserver/pkg/image/apis/image/install"
	image "github.com/openshift/openshift-apiserver/pkg/image/printers/internalversion"
	_ "github.com/openshift/openshift-apiserver/pkg/quota/apis/quota/install"
	quota "github.com/openshift/openshift-apiserver/pkg/quota/printers/internalversion"
	_ "github.com/openshift/openshift-apiserver/pkg/route/apis/route/install"
	route "github.com/openshift/openshift-apiserver/pkg/route/printers/internalversion"
	_ "github.com/openshift/openshift-apiserver/pkg/security/apis/security/install"
	security "github.com/openshift/openshift-apiserver/pkg/security/printers/internalversion"
	_ "github.com/openshift/openshift-apiserver/pkg/template/apis/template/install"
	template "github.com/openshift/openshift-apiserver/pkg/template/printers/internalversion"
)

var notStored = map[string]bool{
	"AppliedClusterResourceQuota": true, "BinaryBuildRequestOptions": true, "BuildRequest": true,
	"DeploymentConfigRollback": true, "DeploymentRequest": true, "ImageSignature": true, "ImageStreamImage": true,
	"ImageStreamImport": true, "ImageStreamLayers": true, "ImageStreamMapping": true, "ImageStreamTag": true,
	"ImageTag": true, "PodSecurityPolicyReview": true, "ClusterRole": true, "ClusterRoleBinding": true, "Role": true,
	"RoleBinding": true, "RangeAllocation": true,
}

// stored tells kinds that are in etcd from requests, lists and the like.
func stored(gvk schema.GroupVersionKind) bool {
	return strings.HasSuffix(gvk.Group, ".openshift.io") && !notStored[gvk.Kind] &&
		!strings.HasSuffix(gvk.Kind, "Review") && !strings.HasSuffix(gvk.Kind, "List")
}

// What only these kinds have: fields that matter, texts by type or field, values of
// annotations, and how many objects are made where it is not four.
var (
	ownFields = set(`triggers imageChangeParams automatic containerNames from test latestVersion strategy dockerStrategy
 customStrategy sourceStrategy jenkinsPipelineStrategy source binary dockerfile git ref revision commit startTimestamp
 duration phase lastVersion dockerImageReference dockerImageRepository publicDockerImageRepository tags tag items
 created to weight alternateBackends targetPort tls termination insecureEdgeTerminationPolicy wildcardPolicy
 parameters generate objects templateInstance allowPrivilegedContainer seLinuxContext fsGroup supplementalGroups
 priority userrestriction grouprestriction serviceaccountrestriction users groups serviceaccounts namespaces path`)
	ownTexts = map[string][]string{
		"DeploymentTriggerType":             {"ConfigChange", "ImageChange", "ImageChange", "Odd"},
		"RouteIngressConditionType":         {"Admitted", "Admitted", "Odd"},
		"TLSTerminationType":                {"", "edge", "Edge", "reencrypt", "passthrough"},
		"InsecureEdgeTerminationPolicyType": {"", "Redirect", "Allow"},
		"BuildStrategyType":                 {"", "Docker", "Source"},
		"BuildSourceType":                   {"", "Git", "Binary"},
		"BuildPhase":                        {"New", "Running", "Complete", "Failed", ""},
		"Commit":                            {"", "0123456789abcdef0123456789abcdef01234567", "v1", "0123456789012345678901234z"},
		"Ref":                               {"", "main", "abcdefabcdefabcdefabc"},
		"Tag":                               {"latest", "v1", "v1.0", "a-rather-long-name-of-a-tag", "another-rather-long-name-of-a-tag", "b", "z"},
		"RouteIngress.Host":                 {"a.example.com", "b.example.com"},
		"RouteSpec.Host":                    {"a.example.com", "a.example.com", ""},
		"ObjectReference.Kind":              {"ImageStreamTag", "DockerImage", "ImageStreamImage", ""},
		"Generate":                          {"expression", ""},
		"Value":                             {"v", "v", ""},
	}
	annotationValues = []string{"true", "A line\nand another", strings.Repeat("some words ", 9), strings.Repeat("x", 80)}
	counts           = map[string]int{
		"Route": 20, "Build": 20, "ImageStream": 20, "DeploymentConfig": 20, "Template": 12, "RoleBindingRestriction": 12,
	}
)

func init() {
	mapKeys["Annotations"] = []string{"description", "description", "a"}
}

// asRead does what the registry of a kind does with each object that it reads.
func asRead(runtime.Object) {}

var generator = printers.NewTableGenerator().With(
	apps.AddAppsOpenShiftHandlers, authorization.AddAuthorizationOpenShiftHandler, build.AddBuildOpenShiftHandlers,
	image.AddImageOpenShiftHandlers, quota.AddQuotaOpenShiftHandler, route.AddRouteOpenShiftHandlers,
	security.AddSecurityOpenShiftHandler, template.AddTemplateOpenShiftHandlers,
)

func table(object runtime.Object) (*metav1.Table, error) {
	return generator.GenerateTable(object, printers.GenerateOptions{Wide: true})
}
