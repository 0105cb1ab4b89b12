package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	writers       = 4
	writesForKill = 300
)

var round = 0

// survive writes without a pause, has the server killed and started in the midst of it, writes and deletes at once when it is
// back, before informers have found it again, and then asks whether the informers know of everything.
func survive(ctx context.Context, clients *clients, all []*observed) error {
	round++
	acknowledged := sync.Map{}
	var count atomic.Int32
	running, stop := context.WithCancel(ctx)
	kill := sync.OnceFunc(func() {
		fmt.Println("KILL")
		stop()
	})
	maps := clients.typed.CoreV1().ConfigMaps(namespace)
	var group sync.WaitGroup
	for worker := range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			name := fmt.Sprintf("counter-%d-%d", round, worker)
			for value := 1; running.Err() == nil; value++ {
				var err error
				var written *corev1.ConfigMap
				if value == 1 {
					written, err = maps.Create(running, counter(name, value), metav1.CreateOptions{})
				} else {
					written, err = maps.Update(running, counter(name, value), metav1.UpdateOptions{})
				}
				if err != nil {
					return
				}
				acknowledged.Store(name, written.Data["value"])
				if count.Add(1) == writesForKill {
					kill()
				}
			}
		}()
	}
	group.Wait()
	if count.Load() < writesForKill {
		return fmt.Errorf("the writers stopped after %d writes", count.Load())
	}
	if _, err := standardIn.ReadString('\n'); err != nil {
		return fmt.Errorf("the server did not come back: %w", err)
	}
	fresh := fmt.Sprintf("fresh-%d", round)
	if _, err := maps.Create(ctx, counter(fresh, 1), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("the first write after the restart: %w", err)
	}
	gone := "many-" + strconv.Itoa(round)
	if err := maps.Delete(ctx, gone, metav1.DeleteOptions{}); err != nil {
		return err
	}
	began := time.Now()
	if err := compare(ctx, clients, all); err != nil {
		return err
	}
	fmt.Printf("all informers were in step %d ms after the restart\n", time.Since(began).Milliseconds())
	for _, one := range all {
		if one.name != "configmaps" {
			continue
		}
		store := one.informer.GetStore()
		if _, there, _ := store.GetByKey(namespace + "/" + fresh); !there {
			return fmt.Errorf("%s is not in the cache", fresh)
		}
		if _, there, _ := store.GetByKey(namespace + "/" + gone); there {
			return fmt.Errorf("%s is in the cache, and was deleted", gone)
		}
		var complaint error
		acknowledged.Range(func(name, value any) bool {
			object, there, _ := store.GetByKey(namespace + "/" + name.(string))
			if !there {
				complaint = fmt.Errorf("%v was acknowledged and is gone", name)
				return false
			}
			least, _ := strconv.Atoi(value.(string))
			if got, _ := strconv.Atoi(object.(*corev1.ConfigMap).Data["value"]); got < least {
				complaint = fmt.Errorf("%v is %d, acknowledged was %d", name, got, least)
				return false
			}
			return true
		})
		if complaint != nil {
			return complaint
		}
	}
	return nil
}
