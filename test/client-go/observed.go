package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	extensionsinformers "k8s.io/apiextensions-apiserver/pkg/client/informers/externalversions"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

// observed is an informer and what its handler was told, object by object.
type observed struct {
	name       string
	at         schema.GroupVersionResource
	namespaced bool
	informer   cache.SharedIndexInformer

	mutex sync.Mutex
	told  map[string][]event
}

type event struct {
	what    string
	version int
}

func observe(name string, at schema.GroupVersionResource, namespaced bool, informer cache.SharedIndexInformer) *observed {
	own := &observed{name: name, at: at, namespaced: namespaced, informer: informer, told: map[string][]event{}}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { own.tell("added", object) },
		UpdateFunc: func(_, object any) { own.tell("updated", object) },
		DeleteFunc: func(object any) { own.tell("deleted", object) },
	})
	if err != nil {
		panic(err)
	}
	return own
}

func (own *observed) tell(what string, object any) {
	if last, gone := object.(cache.DeletedFinalStateUnknown); gone {
		object = last.Obj
	}
	about, err := meta.Accessor(object)
	if err != nil {
		panic(err)
	}
	version, err := strconv.Atoi(about.GetResourceVersion())
	if err != nil {
		panic(err)
	}
	own.mutex.Lock()
	defer own.mutex.Unlock()
	own.told[about.GetName()] = append(own.told[about.GetName()], event{what, version})
}

func startInformers(ctx context.Context, clients *clients) []*observed {
	typed := informers.NewSharedInformerFactory(clients.typed, 0)
	extended := extensionsinformers.NewSharedInformerFactory(clients.extensions, 0)
	dynamics := dynamicinformer.NewDynamicSharedInformerFactory(clients.dynamic, 0)
	metadatas := metadatainformer.NewSharedInformerFactory(clients.metadata, 0)
	resource := func(group, version, name string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: group, Version: version, Resource: name}
	}
	all := []*observed{
		observe("pods", resource("", "v1", "pods"), true, typed.Core().V1().Pods().Informer()),
		observe("namespaces", resource("", "v1", "namespaces"), false, typed.Core().V1().Namespaces().Informer()),
		observe("nodes", resource("", "v1", "nodes"), false, typed.Core().V1().Nodes().Informer()),
		observe("configmaps", configMaps, true, typed.Core().V1().ConfigMaps().Informer()),
		observe("jobs", resource("batch", "v1", "jobs"), true, typed.Batch().V1().Jobs().Informer()),
		observe("customresourcedefinitions", resource("apiextensions.k8s.io", "v1", "customresourcedefinitions"), false,
			extended.Apiextensions().V1().CustomResourceDefinitions().Informer()),
		observe("workloads", workloads, true, dynamics.ForResource(workloads).Informer()),
		observe("queues", queues, false, dynamics.ForResource(queues).Informer()),
		observe("configmaps' metadata", configMaps, true, metadatas.ForResource(configMaps).Informer()),
	}
	typed.Start(ctx.Done())
	extended.Start(ctx.Done())
	dynamics.Start(ctx.Done())
	metadatas.Start(ctx.Done())
	return all
}

func (own *observed) testName() string {
	if own.at.Resource == "customresourcedefinitions" {
		return "ones.example.org"
	}
	return "one"
}

func (own *observed) resource(clients *clients) dynamic.ResourceInterface {
	if own.namespaced {
		return clients.dynamic.Resource(own.at).Namespace(namespace)
	}
	return clients.dynamic.Resource(own.at)
}

func allSaw(all []*observed, what, name string) error {
	for _, one := range all {
		if !one.saw(what) {
			return fmt.Errorf("the informer of %s was not told that %s was %s", one.name, one.testName(), what)
		}
	}
	return nil
}

func (own *observed) saw(what string) bool {
	own.mutex.Lock()
	defer own.mutex.Unlock()
	for _, event := range own.told[own.testName()] {
		if event.what == what {
			return true
		}
	}
	return false
}

// soundness: an object is added before it changes, its versions grow, and it is not added twice.
func (own *observed) soundness() error {
	own.mutex.Lock()
	defer own.mutex.Unlock()
	for name, events := range own.told {
		there, version := false, 0
		for _, event := range events {
			if there != (event.what != "added") || event.version < version {
				return fmt.Errorf("%s %s: %v", own.name, name, events)
			}
			there, version = event.what != "deleted", event.version
		}
	}
	return nil
}

// compare waits until each cache holds what the server lists, in the same versions.
func compare(ctx context.Context, clients *clients, all []*observed) error {
	for _, one := range all {
		err := until(func() error {
			list, err := clients.dynamic.Resource(one.at).List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			cached := map[string]string{}
			for _, object := range one.informer.GetStore().List() {
				about, _ := meta.Accessor(object)
				cached[about.GetNamespace()+"/"+about.GetName()] = about.GetResourceVersion()
			}
			if len(cached) != len(list.Items) {
				return fmt.Errorf("%s: %d in the cache, %d on the server", one.name, len(cached), len(list.Items))
			}
			for _, item := range list.Items {
				key := item.GetNamespace() + "/" + item.GetName()
				if cached[key] != item.GetResourceVersion() {
					return fmt.Errorf("%s: %s has version %q in the cache, %s on the server", one.name, key, cached[key], item.GetResourceVersion())
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
