#!/bin/sh
# Podman's service for clients of Docker, in namespaces of its own for processes, mounts and the network. $1: its folder, with
# containers.conf; $2: its cgroup.
set -eu
mount --make-rshared /
# State of the machine's own Podman is covered up.
for covered in /run/containers /run/libpod /run/netns /run/lock /var/lib/containers /etc/containers/networks; do
    mkdir -p "$covered"
    mount -t tmpfs tmpfs "$covered"
done
ip link set lo up
export CONTAINERS_CONF="$1/containers.conf"
exec podman --root "$1/data" --runroot /run/containers/storage --storage-driver vfs --cgroup-manager cgroupfs \
    --runtime runc --network-backend netavark --log-level info system service --time 0 "unix://$1/engine.sock"
