package main

import (
	"bytes"
	"io"
	"math/rand"
	"net/http"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest/fake"
	"k8s.io/client-go/restmapper"
	"k8s.io/kubectl/pkg/scheme"
)

// Types as an API server lists them: group/version; then plural, kind, short
// names, categories, whether in namespaces. In the order of its groups.
var served = []struct{ version, types string }{
	{"v1", "configmaps ConfigMap cm - n;endpoints Endpoints ep - n;events Event ev - n;limitranges LimitRange limits - n;namespaces Namespace ns - c;nodes Node no - c;persistentvolumeclaims PersistentVolumeClaim pvc - n;persistentvolumes PersistentVolume pv - c;pods Pod po all n;podtemplates PodTemplate - - n;replicationcontrollers ReplicationController rc all n;resourcequotas ResourceQuota quota - n;secrets Secret - - n;serviceaccounts ServiceAccount sa - n;services Service svc all n"},
	{"apiregistration.k8s.io/v1", "apiservices APIService - api-extensions c"},
	{"apps/v1", "controllerrevisions ControllerRevision - - n;daemonsets DaemonSet ds all n;deployments Deployment deploy all n;replicasets ReplicaSet rs all n;statefulsets StatefulSet sts all n"},
	{"autoscaling/v2", "horizontalpodautoscalers HorizontalPodAutoscaler hpa all n"},
	{"autoscaling/v1", "horizontalpodautoscalers HorizontalPodAutoscaler hpa all n"},
	{"batch/v1", "cronjobs CronJob cj all n;jobs Job - all n"},
	{"certificates.k8s.io/v1", "certificatesigningrequests CertificateSigningRequest csr - c"},
	{"networking.k8s.io/v1", "ingressclasses IngressClass - - c;ingresses Ingress ing - n;ipaddresses IPAddress ip - c;networkpolicies NetworkPolicy netpol - n;servicecidrs ServiceCIDR - - c"},
	{"policy/v1", "poddisruptionbudgets PodDisruptionBudget pdb - n"},
	{"rbac.authorization.k8s.io/v1", "clusterrolebindings ClusterRoleBinding - - c;clusterroles ClusterRole - - c;rolebindings RoleBinding - - n;roles Role - - n"},
	{"storage.k8s.io/v1", "csidrivers CSIDriver - - c;csinodes CSINode - - c;csistoragecapacities CSIStorageCapacity - - n;storageclasses StorageClass sc - c;volumeattachments VolumeAttachment - - c"},
	{"admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations MutatingWebhookConfiguration - api-extensions c;validatingadmissionpolicies ValidatingAdmissionPolicy - api-extensions c;validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding - api-extensions c;validatingwebhookconfigurations ValidatingWebhookConfiguration - api-extensions c"},
	{"apiextensions.k8s.io/v1", "customresourcedefinitions CustomResourceDefinition crd,crds api-extensions c"},
	{"scheduling.k8s.io/v1", "priorityclasses PriorityClass pc - c"},
	{"coordination.k8s.io/v1", "leases Lease - - n"},
	{"node.k8s.io/v1", "runtimeclasses RuntimeClass - - c"},
	{"discovery.k8s.io/v1", "endpointslices EndpointSlice - - n"},
	{"flowcontrol.apiserver.k8s.io/v1", "flowschemas FlowSchema - - c;prioritylevelconfigurations PriorityLevelConfiguration - - c"},
	// Custom ones.
	{"cert-manager.io/v1", "certificates Certificate cert,certs cert-manager n;issuers Issuer - cert-manager n"},
	{"example.com/v1", "gadgets Gadget gd things c;widgets Widget wd,w all,things n"},
	{"kyverno.io/v1", "clusterpolicies ClusterPolicy cpol kyverno,all c;policies Policy pol kyverno,all n"},
	{"serving.knative.dev/v1", "routes Route rt all,knative n;services Service kservice,ksvc all,knative n"},
	{"serving.knative.dev/v1beta1", "domainmappings DomainMapping dm all,knative n"},
	{"networking.internal.knative.dev/v1alpha1", "certificates Certificate kcert knative n;ingresses Ingress kingress,king knative n"},
	{"other.example.com/v1beta1", "widgets Widget wd,ow - n;odds Odd widgie - n"},
}

type servedTypes struct {
	discovery.DiscoveryInterface
}

func (servedTypes) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	var groups []*metav1.APIGroup
	var lists []*metav1.APIResourceList
	for _, entry := range served {
		version, err := schema.ParseGroupVersion(entry.version)
		check(err)
		named := metav1.GroupVersionForDiscovery{GroupVersion: entry.version, Version: version.Version}
		if len(groups) > 0 && groups[len(groups)-1].Name == version.Group {
			last := groups[len(groups)-1]
			last.Versions = append(last.Versions, named)
		} else {
			groups = append(groups, &metav1.APIGroup{Name: version.Group, Versions: []metav1.GroupVersionForDiscovery{named}, PreferredVersion: named})
		}
		list := &metav1.APIResourceList{GroupVersion: entry.version}
		for _, text := range strings.Split(entry.types, ";") {
			fields := strings.Fields(text)
			names := func(text string) []string {
				if text == "-" {
					return nil
				}
				return strings.Split(text, ",")
			}
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: fields[0], SingularName: strings.ToLower(fields[1]), Kind: fields[1], ShortNames: names(fields[2]), Categories: names(fields[3]), Namespaced: fields[4] == "n",
			})
		}
		lists = append(lists, list)
	}
	return groups, lists, nil
}

func crds() []any {
	versions := map[string][]any{}
	var order []string
	definitions := map[string]object{}
	_, lists, _ := servedTypes{}.ServerGroupsAndResources()
	custom := false
	for _, list := range lists {
		version, _ := schema.ParseGroupVersion(list.GroupVersion)
		custom = custom || version.Group == "cert-manager.io"
		if !custom {
			continue
		}
		for _, kind := range list.APIResources {
			name := kind.Name + "." + version.Group
			scope := "Cluster"
			if kind.Namespaced {
				scope = "Namespaced"
			}
			if _, known := definitions[name]; !known {
				order = append(order, name)
				definitions[name] = object{"group": version.Group, "scope": scope, "names": object{
					"plural": kind.Name, "singular": kind.SingularName, "kind": kind.Kind, "listKind": kind.Kind + "List", "shortNames": kind.ShortNames, "categories": kind.Categories,
				}}
			}
			versions[name] = append(versions[name], object{"name": version.Version, "served": true, "storage": len(versions[name]) == 0})
		}
	}
	var out []any
	// As a store has them, by name.
	sort.Strings(order)
	for _, name := range order {
		definitions[name]["versions"] = versions[name]
		out = append(out, object{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": object{"name": name}, "spec": definitions[name]})
	}
	return out
}

// asked lists what kubectl requests for arguments: group/plural[=name].
func asked(arguments []string) (requests []string, err error) {
	groups, err := restmapper.GetAPIGroupResources(servedTypes{})
	check(err)
	mapper := restmapper.NewShortcutExpander(restmapper.NewDiscoveryRESTMapper(groups), servedTypes{}, nil)
	client := func(version schema.GroupVersion) (resource.RESTClient, error) {
		return &fake.RESTClient{
			NegotiatedSerializer: resource.UnstructuredPlusDefaultContentConfig().NegotiatedSerializer,
			GroupVersion:         version,
			Client: fake.CreateHTTPClient(func(request *http.Request) (*http.Response, error) {
				path := strings.TrimPrefix(request.URL.Path, "/")
				path = strings.TrimPrefix(path, "namespaces/ns1/")
				parts := strings.SplitN(path, "/", 2)
				text := version.Group + "/" + parts[0]
				body := `{"apiVersion":"v1","kind":"List","metadata":{},"items":[]}`
				if len(parts) == 2 {
					text += "=" + parts[1]
					body = `{"apiVersion":"v1","kind":"Any","metadata":{"name":"x"}}`
				}
				requests = append(requests, text)
				return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(body)))}, nil
			}),
		}, nil
	}
	err = guarded(func() error {
		builder := resource.NewFakeBuilder(client,
			func() (meta.RESTMapper, error) { return mapper, nil },
			func() (restmapper.CategoryExpander, error) {
				return restmapper.NewDiscoveryCategoryExpander(servedTypes{}), nil
			},
		)
		_, err := builder.Unstructured().NamespaceParam("ns1").DefaultNamespace().ResourceTypeOrNameArgs(true, arguments...).Latest().Flatten().Do().Infos()
		return err
	})
	return requests, err
}

func writeArguments(out *file, random *rand.Rand) {
	_ = scheme.Scheme
	out.line(crds())
	one := func(arguments ...string) {
		line := object{"arguments": append([]string{}, arguments...)}
		requests, err := asked(append([]string{}, arguments...))
		if err != nil {
			line["error"] = err.Error()
		} else {
			line["asked"] = requests
		}
		out.line(line)
	}
	one()
	for _, text := range []string{
		"", "pods", "pod", "po", "Pod", "PODS", "Pods", "pods,services", "po,svc,pods", "pods,", ",pods", "pods,,services", "pods/", "/a", "pods/a", "pods/a/b", "pods/a,b", "pods,services/a", "pods.v1", "pods.v1.", "pods.", "pods.apps", "pod.v1./a",
		"deploy", "deployments.apps", "deployment.apps", "deploy.apps", "deployments.v1.apps", "Deployment.v1.apps", "Deployment.apps", "deployments.v9.apps", "deployments.ap", "deploy.ap", "deployments.extensions", "hpa", "hpa.v1.autoscaling", "horizontalpodautoscalers.v2.autoscaling", "horizontalpodautoscalers.autosc",
		"ingress", "ingresses", "ing", "ingress.networking", "ingresses.networking.k8s.io", "ingresses.networking.internal.knative.dev", "ingress.networking.internal", "kingress", "king", "Ingress",
		"services", "svc", "services.serving.knative.dev", "ksvc", "svc.serving", "Service", "service.serving", "routes", "rt", "dm", "domainmapping", "certificates", "cert", "certs", "Certificate", "certificate.networking.internal.knative.dev", "certificates.cert-manager.io", "certificates.v1.cert-manager.io", "cert.cert-manager.io", "cert.cert", "kcert",
		"widgets", "widget", "Widget", "wd", "w", "ow", "widgets.example.com", "widgets.other.example.com", "wd.other.example.com", "widgets.oth", "widget.v1.example.com", "widgets.v1beta1.other.example.com", "widgie", "odd", "odds", "gadgets", "gd", "policies", "pol", "cpol", "clusterpolicy", "ClusterPolicy.kyverno.io",
		"all", "all,pods", "pods,all", "all,cm", "things", "knative", "api-extensions", "kyverno,secrets", "cert-manager", "all/x", "things,all", "crd", "crds", "customresourcedefinitions", "cs", "unknown", "unknown/a", "podz", "pods.unknown", "unknowns.example.com", "ev", "events", "sc", "pc", "ns", "no", "quota", "limits", "netpol", "pdb", "csr", "ip", "sts", "rs", "rc", "ds", "cj", "job", "ep", "endpoint", "endpoints", "endpointslice", "pv", "pvc", "sa", "roles.rbac", "role", "storageclass.storage", "storageclass.storage.k8s.io", "priorityclass.sched", "flowschemas", "leases", "a b", "pods svc",
	} {
		one(text)
	}
	for _, text := range []string{
		"pods a", "pods a b", "pods a b a", "po,svc a", "po,svc a b", "po,po a", "po,pods a", "pods/a svc/b", "pods/a pods/a", "pods/a svc/b pods/c", "pods/a b", "pods pods/a", "pods a/b", "pods,svc a/b", "pods,svc/x a", "all a", "all,cm a", "things a", "unknown a", "unknown,pods a", "pods/a unknown/b", "po/a svc/b deploy.apps/c widgets.example.com/d w/e", "pods a,b", "pods/a,b svc/c", "node/a pod/b", "ns a", "pods/ svc/a", "/a pods/b", "pods/a/b svc/c", "pods,svc,deploy a b c", "widgets,widgets.other.example.com a", "pods  a", "Pod a", "po/a Pod/a pods.v1./a",
	} {
		one(strings.Split(text, " ")...)
	}
	words := []string{"pods", "po", "svc", "deploy.apps", "wd", "widgets.other.example.com", "all", "nodes", "a", "b", "pods/a", "svc/b", "w/c", "po,svc", "unknown", "ing,cm"}
	for range 150 {
		var arguments []string
		for range 1 + random.Intn(4) {
			arguments = append(arguments, pick(random, words))
		}
		one(arguments...)
	}
}
