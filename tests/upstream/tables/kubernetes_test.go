package tables

import (
	"context"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
	aggregator "k8s.io/kube-aggregator/pkg/apis/apiregistration"
	aggregatorinstall "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	apiservice "k8s.io/kube-aggregator/pkg/registry/apiservice/etcd"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	core "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/printers"
	printersinternal "k8s.io/kubernetes/pkg/printers/internalversion"
)

func init() {
	aggregatorinstall.Install(legacyscheme.Scheme)
}

// Kinds whose registry asks for the default table although a printer may exist.
var defaultTable = map[string]bool{"Role": true, "ClusterRole": true, "LimitRange": true, "CSIStorageCapacity": true}

// Never stored.
var notStored = map[string]bool{
	"AdmissionReview": true, "Binding": true, "DeploymentRollback": true, "EphemeralContainers": true,
	"ImageReview": true, "JobTemplate": true, "PodStatusResult": true, "RangeAllocation": true, "Scale": true,
	"SerializedReference": true, "ReplicationControllerDummy": true, "ComponentStatus": true, "TokenRequest": true,
	"Status": true, "APIGroup": true,
}

// stored tells kinds that are in etcd from requests, lists and the like.
func stored(gvk schema.GroupVersionKind) bool {
	return !notStored[gvk.Kind] && !strings.HasSuffix(gvk.Kind, "Review") && !strings.HasSuffix(gvk.Kind, "List") &&
		(gvk.Group != "policy" || gvk.Kind != "Eviction")
}

// What only these kinds have: fields that matter, texts by type or field, values of
// annotations, and how many objects are made where it is not four.
var (
	ownFields        = set("")
	ownTexts         = map[string][]string{}
	annotationValues = []string{"true"}
	counts           = map[string]int{
		"Pod": 100, "HorizontalPodAutoscaler": 30, "Service": 30, "Node": 12, "Job": 12, "Event": 12, "Ingress": 12,
		"PersistentVolume": 12, "PersistentVolumeClaim": 12, "Eviction": 12, "EndpointSlice": 12, "Endpoints": 12,
	}
)

// asRead does what the registry of a kind does with each object that it reads.
func asRead(object runtime.Object) {
	if service, ok := object.(*core.Service); ok && service.Spec.ClusterIP != "" && len(service.Spec.ClusterIPs) == 0 {
		service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
	}
}

var generator = printers.NewTableGenerator().With(printersinternal.AddHandlers)

func table(object runtime.Object) (*metav1.Table, error) {
	kind := reflect.TypeOf(object).Elem().Name()
	if _, ok := object.(*aggregator.APIService); ok {
		return (&apiservice.REST{}).ConvertToTable(context.Background(), object, nil)
	}
	if defaultTable[kind] {
		convertor := rest.NewDefaultTableConvertor(schema.GroupResource{})
		return convertor.ConvertToTable(context.Background(), object, nil)
	}
	return generator.GenerateTable(object, printers.GenerateOptions{Wide: true})
}
