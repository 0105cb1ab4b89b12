// Informers of the real client-go on Berth's API: `client-go KUBECONFIG`. It prints a line `PASS name` or `FAIL name: why`
// for each thing that must hold. Where the server is to be killed and started again it prints `KILL`, and goes on when a
// line comes on its standard input.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/features"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	manyObjects = 2000
	patience    = 30 * time.Second
	namespace   = "informers"
)

var (
	workloads  = schema.GroupVersionResource{Group: "berth.dev", Version: "v1alpha1", Resource: "workloads"}
	queues     = schema.GroupVersionResource{Group: "berth.dev", Version: "v1alpha1", Resource: "queues"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	failed     = false
	standardIn = bufio.NewReader(os.Stdin)
)

func phase(name string, run func() error) {
	if err := run(); err != nil {
		failed = true
		fmt.Printf("FAIL %s: %v\n", name, err)
		return
	}
	fmt.Printf("PASS %s\n", name)
}

// until asks again and again, until there is no complaint or patience is at its end.
func until(complaint func() error) error {
	end := time.Now().Add(patience)
	for {
		err := complaint()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	config.QPS, config.Burst = -1, -1
	ctx, cancel := context.WithCancel(context.Background())
	traffic := &traffic{}
	config.Wrap(traffic.wrap)
	clients := newClients(config)

	phase("watch lists are what this client-go asks for", func() error {
		if !features.FeatureGates().Enabled(features.WatchListClient) {
			return fmt.Errorf("the feature WatchListClient is off")
		}
		return nil
	})
	phase("2,000 objects are written", func() error { return writeMany(ctx, clients) })

	informers := startInformers(ctx, clients)
	phase("all informers are in step", func() error {
		return until(func() error {
			for _, one := range informers {
				if !one.informer.HasSynced() {
					return fmt.Errorf("the informer of %s hangs", one.name)
				}
			}
			return nil
		})
	})
	phase("each by one watch, none by a list", func() error { return traffic.onlyWatchLists(len(informers)) })
	phase("their caches are what the server lists", func() error { return compare(ctx, clients, informers) })
	phase("additions, changes and deletions arrive", func() error { return changes(ctx, clients, informers) })
	phase("a watch list ends in one annotated bookmark", func() error { return annotatedBookmark(ctx, clients) })
	phase("a watch gets a bookmark before its end", func() error { return lateBookmark(ctx, clients) })
	phase("a kill under writes: nothing acknowledged is missed", func() error {
		return survive(ctx, clients, informers)
	})
	phase("what happened while nobody watched arrives after a second kill", func() error {
		return survive(ctx, clients, informers)
	})
	phase("a version of before the restart is Expired, as an event", func() error { return expired(ctx, clients) })
	phase("the order of events was right for every object", func() error {
		for _, one := range informers {
			if err := one.soundness(); err != nil {
				return err
			}
		}
		return nil
	})
	cancel()
	if failed {
		os.Exit(1)
	}
}

func writeMany(ctx context.Context, clients *clients) error {
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := clients.typed.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil {
		return err
	}
	errs := make(chan error, 8)
	for worker := range cap(errs) {
		go func() {
			for index := worker; index < manyObjects; index += cap(errs) {
				if _, err := clients.typed.CoreV1().ConfigMaps(namespace).Create(ctx, counter("many-"+strconv.Itoa(index), 0), metav1.CreateOptions{}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func counter(name string, value int) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"value": strconv.Itoa(value)}}
}

func changes(ctx context.Context, clients *clients, informers []*observed) error {
	container := []corev1.Container{{Name: "main", Image: "host", Command: []string{"true"}}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Spec: corev1.PodSpec{Containers: container}}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
		Spec: corev1.PodSpec{Containers: container, RestartPolicy: corev1.RestartPolicyNever},
	}}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "one"}}
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "one"}}
	options := metav1.CreateOptions{}
	_, err := clients.typed.CoreV1().Pods(namespace).Create(ctx, pod, options)
	if err == nil {
		_, err = clients.typed.BatchV1().Jobs(namespace).Create(ctx, job, options)
	}
	if err == nil {
		_, err = clients.typed.CoreV1().Nodes().Create(ctx, node, options)
	}
	if err == nil {
		_, err = clients.typed.CoreV1().Namespaces().Create(ctx, space, options)
	}
	if err == nil {
		_, err = clients.typed.CoreV1().ConfigMaps(namespace).Create(ctx, counter("one", 1), options)
	}
	if err == nil {
		_, err = clients.dynamic.Resource(queues).Create(ctx, berthObject("Queue", "one", map[string]any{"tier": int64(3)}), options)
	}
	if err == nil {
		_, err = clients.dynamic.Resource(workloads).Namespace(namespace).Create(ctx, workload("one"), options)
	}
	if err == nil {
		_, err = clients.extensions.ApiextensionsV1().CustomResourceDefinitions().Create(ctx, definition("ones"), options)
	}
	if err != nil {
		return err
	}
	if err := until(func() error { return allSaw(informers, "added", "one") }); err != nil {
		return err
	}
	label := []byte(`{"metadata":{"labels":{"changed":"yes"}}}`)
	for _, one := range informers {
		if _, err := one.resource(clients).Patch(ctx, one.testName(), types.MergePatchType, label, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("patch of %s: %w", one.name, err)
		}
	}
	if err := until(func() error { return allSaw(informers, "updated", "one") }); err != nil {
		return err
	}
	now := int64(0)
	for _, one := range informers {
		err := one.resource(clients).Delete(ctx, one.testName(), metav1.DeleteOptions{GracePeriodSeconds: &now})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deletion of %s: %w", one.name, err)
		}
	}
	return until(func() error { return allSaw(informers, "deleted", "one") })
}

func annotatedBookmark(ctx context.Context, clients *clients) error {
	initial := true
	seconds := int64(20)
	stream, err := clients.typed.CoreV1().ConfigMaps(namespace).Watch(ctx, metav1.ListOptions{
		SendInitialEvents: &initial, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
	})
	if err != nil {
		return err
	}
	defer stream.Stop()
	added := 0
	for event := range stream.ResultChan() {
		object := event.Object.(*corev1.ConfigMap)
		if event.Type == watch.Added {
			added++
			continue
		}
		if event.Type != watch.Bookmark || object.Annotations[metav1.InitialEventsAnnotationKey] != "true" {
			return fmt.Errorf("got %s %v", event.Type, object.ObjectMeta)
		}
		if added < manyObjects || object.ResourceVersion == "" || object.ResourceVersion == "0" {
			return fmt.Errorf("after %d objects, with version %q", added, object.ResourceVersion)
		}
		return nil
	}
	return fmt.Errorf("the watch ended without it")
}

func lateBookmark(ctx context.Context, clients *clients) error {
	seconds := int64(5)
	stream, err := clients.typed.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{AllowWatchBookmarks: true, TimeoutSeconds: &seconds})
	if err != nil {
		return err
	}
	defer stream.Stop()
	// Of another kind: a bookmark must tell how far the server is, not how far this kind is.
	written, err := clients.typed.CoreV1().ConfigMaps(namespace).Create(ctx, counter("bookmark", 0), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	least, _ := strconv.Atoi(written.ResourceVersion)
	for event := range stream.ResultChan() {
		if event.Type != watch.Bookmark {
			continue
		}
		node := event.Object.(*corev1.Node)
		if version, _ := strconv.Atoi(node.ResourceVersion); version < least || len(node.Annotations) > 0 {
			return fmt.Errorf("the bookmark is at %s, expected at least %d; annotations %v", node.ResourceVersion, least, node.Annotations)
		}
		return nil
	}
	return fmt.Errorf("the watch ended without it")
}

func expired(ctx context.Context, clients *clients) error {
	stream, err := clients.dynamic.Resource(configMaps).Namespace(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: "1"})
	if err != nil {
		return fmt.Errorf("the watch was refused outright: %w", err)
	}
	defer stream.Stop()
	event := <-stream.ResultChan()
	if event.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(event.Object)) {
		return fmt.Errorf("got %s %v", event.Type, event.Object)
	}
	return nil
}

func berthObject(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "berth.dev/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

func workload(name string) *unstructured.Unstructured {
	return berthObject("Workload", name, map[string]any{
		"user": "ada", "queue": "standard", "account": "default", "wallTimeSeconds": int64(60),
		"podSets": []any{map[string]any{"name": "main", "role": "Driver", "count": int64(1), "template": map[string]any{
			"spec": map[string]any{"containers": []any{map[string]any{"name": "main", "image": "host", "command": []any{"true"}}}},
		}}},
	})
}
