#!/bin/bash
# pid 1 of a node's "machine": its own pid, mount, net, uts and ipc namespaces. $1 = the node's folder, $2 = its name.
# When it is killed, everything inside ends with it, and its mounts and interfaces go.
set -e
N=$1
hostname "$2"
# A fresh sysfs, so that /sys/class/net shows this network namespace, with the cgroup tree moved onto it.
mkdir -p "$N/cgroup"
mount --rbind /sys/fs/cgroup "$N/cgroup"
mount -t sysfs sysfs /sys
mount --move "$N/cgroup" /sys/fs/cgroup
rmdir "$N/cgroup"
# crun refuses a "hybrid" machine, where a v2 tree beside the v1 ones shows a controller.
umount /sys/fs/cgroup/unified 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /var/lib/kubelet "$N/log" "$N/kubelet" "$N/sysctl"
mount --bind "$N/log" /var/log
mount --bind "$N/kubelet" /var/lib/kubelet
# The kubelet would write these of the whole machine; it is shown files that hold what it wants.
while read -r name value; do
  echo "$value" >"$N/sysctl/${name//\//.}"
  mount --bind "$N/sysctl/${name//\//.}" "/proc/sys/$name"
done <<S
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
S
mount --make-rshared /
ip link set lo up
touch "$N/ready"
trap 'exit 0' TERM INT
while :; do sleep 3600 & wait $! || true; done
