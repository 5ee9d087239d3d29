//! What a single service cannot be.

use super::resolve::{Draft, Resolver, meaning};
use crate::model::{Field, FieldKind as K, Mount};

/// The least memory that the engine takes.
const LEAST_MEMORY: u64 = 6 << 20;

/// Mistakes within one service.
pub(super) fn service(cx: &mut Resolver<'_>, draft: &Draft<'_>) {
    memory(cx, draft);
    network_mode(cx, draft);
    read_only(cx, draft);
    replicas(cx, draft);
    let probe_needs_address = draft.probe.is_some() && matches!(draft.spec.network_mode.as_deref(), Some("none"));
    if probe_needs_address {
        let place = draft.place(&Field::one(K::Healthcheck));
        let message = "this check is made from outside, but the container has no network";
        cx.add(meaning("network-mode", &place, message).help("use `command`, or give the service a network"));
    }
}

fn memory(cx: &mut Resolver<'_>, draft: &Draft<'_>) {
    let limits = &draft.spec.resources;
    let mut wrong = |kind: K, message: String, help: &str| {
        cx.add(meaning("impossible-resources", &draft.place(&Field::one(kind)), message).help(help));
    };
    for (kind, key, value) in
        [(K::Memory, "memory", limits.memory), (K::MemoryReservation, "memory_reservation", limits.memory_reservation)]
    {
        if value.is_some_and(|bytes| bytes < LEAST_MEMORY) {
            let help = "write at least 6; a bare number is megabytes, and text has a unit (`\"64MiB\"`)";
            wrong(kind, format!("`{key}` is below 6 MiB, the minimum that the engine accepts"), help);
        }
    }
    let (Some(memory), swap) = (limits.memory, limits.memory_swap) else {
        if limits.memory_swap.is_some() {
            wrong(
                K::MemorySwap,
                "`memory_swap` needs `memory`".to_owned(),
                "add `memory`: swap is counted on top of it",
            );
        }
        return;
    };
    if limits.memory_reservation.is_some_and(|reserved| reserved > memory) {
        let help = "lower the reservation or raise `memory`";
        wrong(K::MemoryReservation, "`memory_reservation` is above `memory`".to_owned(), help);
    }
    if swap.and_then(|swap| u64::try_from(swap).ok()).is_some_and(|swap| swap < memory) {
        let help = "`memory_swap` is memory and swap together: write at least the value of `memory`, or `-1`";
        wrong(K::MemorySwap, "`memory_swap` is below `memory`".to_owned(), help);
    }
}

fn network_mode(cx: &mut Resolver<'_>, draft: &Draft<'_>) {
    let Some(mode) = draft.spec.network_mode.as_deref() else { return };
    let Some(port) = draft.spec.ports.iter().next() else { return };
    let field = Field::of(K::Port, format!("{}/{}", port.container_port, port.protocol.as_str()));
    let message = format!("no port is published with `network_mode: {mode}`");
    let help = match mode {
        "host" => "remove `ports`: the container uses the host's ports directly",
        _ => "remove `ports`, or give the service a network",
    };
    let mode_at = draft.place(&Field::one(K::NetworkMode));
    cx.add(meaning("network-mode", &draft.place(&field), message).help(help).also(mode_at, "because of this"));
}

/// The engine places a config file into the container's root file system, which it cannot when that is read-only.
fn read_only(cx: &mut Resolver<'_>, draft: &Draft<'_>) {
    if !draft.spec.read_only {
        return;
    }
    for target in draft.spec.configs.keys() {
        let writable = draft.spec.mounts.iter().any(|(path, mount)| {
            let above = target.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'));
            let open = match mount {
                Mount::Volume { read_only, .. } | Mount::Bind { read_only, .. } => !read_only,
                Mount::Tmpfs { .. } => true,
            };
            above && open
        });
        if !writable {
            let help = match target.rsplit_once('/') {
                Some((folder, _)) if !folder.is_empty() => {
                    format!("mount a volume or tmpfs at `{folder}`, or remove `read_only`")
                }
                _ => "give it a path below a volume or tmpfs, or remove `read_only`".to_owned(),
            };
            let message = format!("`{target}` cannot be placed in a read-only root file system");
            let flag = draft.place(&Field::one(K::ReadOnly));
            let place = draft.place(&Field::of(K::Config, target));
            cx.add(meaning("read-only-config", &place, message).help(help).also(flag, "read-only because of this"));
        }
    }
}

/// What only one container can have.
fn replicas(cx: &mut Resolver<'_>, draft: &Draft<'_>) {
    if draft.replicas < 2 {
        return;
    }
    let count = draft.replicas;
    if let Some(name) = &draft.container_name {
        let message = format!("{count} replicas cannot all be called `{name}`");
        let help = "remove `container_name`, or set `replicas: 1`";
        cx.add(meaning("replicas-clash", &draft.place(&Field::one(K::Name)), message).help(help));
    }
    for port in draft.spec.ports.iter().filter(|port| port.host_port.is_some()) {
        let number = port.host_port.unwrap_or_default();
        let field = Field::of(K::Port, format!("{}/{}", port.container_port, port.protocol.as_str()));
        let message = format!("{count} replicas cannot share the host port {number}");
        let help = format!(
            "write `\"{}\"` to let the engine choose a port for each, or set `replicas: 1`",
            port.container_port
        );
        cx.add(meaning("replicas-clash", &draft.place(&field), message).help(help));
    }
}
