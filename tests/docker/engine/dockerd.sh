#!/bin/sh
# A second Docker engine, started in namespaces of its own for processes, mounts and the network, so that nothing of the
# machine's engine is touched and everything ends with the first process. $1: its folder, with daemon.json; $2: its cgroup.
set -eu
# Mounts are shared with containers as on any host, and with nobody outside.
mount --make-rshared /
# State and sockets of the machine's engine and containerd are covered up.
for covered in /run/docker /run/containerd; do
    mkdir -p "$covered"
    mount -t tmpfs tmpfs "$covered"
done
ip link set lo up
exec dockerd --config-file "$1/daemon.json" --data-root "$1/data" --host "unix://$1/engine.sock" \
    --exec-root /run/docker --pidfile /run/docker/engine.pid --storage-driver vfs \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$2"
