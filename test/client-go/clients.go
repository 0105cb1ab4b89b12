package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	extensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

type clients struct {
	typed      kubernetes.Interface
	extensions extensions.Interface
	dynamic    dynamic.Interface
	metadata   metadata.Interface
}

func newClients(config *rest.Config) *clients {
	// As Kubernetes' own controllers do: built-in kinds in protobuf where the server can.
	protobuf := rest.CopyConfig(config)
	protobuf.ContentType = "application/vnd.kubernetes.protobuf"
	protobuf.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return &clients{
		typed:      kubernetes.NewForConfigOrDie(protobuf),
		extensions: extensions.NewForConfigOrDie(config),
		dynamic:    dynamic.NewForConfigOrDie(config),
		metadata:   metadata.NewForConfigOrDie(config),
	}
}

// traffic counts what the clients ask.
type traffic struct {
	mutex      sync.Mutex
	watchLists int
	lists      []string
}

type roundTripper func(*http.Request) (*http.Response, error)

func (own roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return own(request) }

func (own *traffic) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodGet {
			query := request.URL.Query()
			own.mutex.Lock()
			if query.Get("sendInitialEvents") == "true" {
				own.watchLists++
			} else if query.Get("watch") == "" {
				own.lists = append(own.lists, request.URL.Path)
			}
			own.mutex.Unlock()
		}
		return next.RoundTrip(request)
	})
}

func (own *traffic) onlyWatchLists(expected int) error {
	own.mutex.Lock()
	defer own.mutex.Unlock()
	if own.watchLists != expected || len(own.lists) > 0 {
		return fmt.Errorf("%d watch lists of %d informers, and lists of %s", own.watchLists, expected, strings.Join(own.lists, ", "))
	}
	return nil
}

func definition(plural string) *extensionsv1.CustomResourceDefinition {
	return &extensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + ".example.org"},
		Spec: extensionsv1.CustomResourceDefinitionSpec{
			Group: "example.org",
			Scope: extensionsv1.NamespaceScoped,
			Names: extensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: "one", Kind: "One", ListKind: "OneList"},
			Versions: []extensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &extensionsv1.CustomResourceValidation{OpenAPIV3Schema: &extensionsv1.JSONSchemaProps{Type: "object"}},
			}},
		},
	}
}
