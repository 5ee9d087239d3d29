//! What a container may use: resources, limits, devices and capabilities.

use super::Resolver;
use super::service::Draft;
use crate::manifest::raw::service::{Capabilities, Resources as RawResources, UlimitValue};
use crate::manifest::raw::units::{Capability, DeviceText};
use crate::manifest::suggest::nearest;
use crate::model::{FieldKind as K, Ulimit};
use std::collections::BTreeMap;

/// The limits that the kernel knows.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl Resolver<'_> {
    pub(super) fn ulimits(&mut self, draft: &mut Draft<'_>, ulimits: BTreeMap<String, UlimitValue>) {
        for (name, value) in ulimits {
            let at = draft.at.key("ulimits").key(&name);
            let key = draft.at.key("ulimits").name(&name);
            if !ULIMITS.contains(&name.as_str()) {
                let help = match nearest(&name, ULIMITS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the limits are {}", ULIMITS.join(", ")),
                };
                self.mistake("unknown-ulimit", key, format!("`{name}` is not a limit of a process"), help);
            }
            let limit = match value {
                UlimitValue::Both(limit) => Ulimit { soft: limit.0, hard: limit.0 },
                UlimitValue::Split(split) => Ulimit { soft: split.soft.0, hard: split.hard.0 },
            };
            if limit.hard >= 0 && (limit.soft > limit.hard || limit.soft < 0) {
                let help = "lower `soft` or raise `hard`";
                self.mistake(
                    "impossible-resources",
                    at,
                    format!("the soft limit `{name}` is above the hard one"),
                    help,
                );
            }
            if draft.spec.ulimits.contains_key(&name) {
                let help = "keep one of the two";
                self.mistake("duplicate-key", key, "`memlock` is set under `resources` as well".to_owned(), help);
            }
            draft.set_entry(K::Ulimit, &name, at);
            draft.spec.ulimits.insert(name, limit);
        }
    }
}

pub(super) fn resources_of(draft: &mut Draft<'_>, raw: &RawResources) {
    let at = draft.at.key("resources");
    let limits = &mut draft.spec.resources;
    limits.nano_cpus = raw.cpu.as_ref().map(|cpus| cpus.0);
    limits.memory = raw.memory.as_ref().map(|size| size.0);
    limits.memory_reservation = raw.memory_reservation.as_ref().map(|size| size.0);
    limits.memory_swap = raw.memory_swap.as_ref().map(|size| size.0);
    limits.pids = raw.pids;
    limits.cpuset = raw.cpuset.as_ref().map(|set| set.0.clone());
    limits.cpu_shares = raw.cpu_shares;
    let keys = [
        (K::Cpu, "cpu"),
        (K::Memory, "memory"),
        (K::MemoryReservation, "memory_reservation"),
        (K::MemorySwap, "memory_swap"),
        (K::Pids, "pids"),
        (K::Cpuset, "cpuset"),
        (K::CpuShares, "cpu_shares"),
    ];
    for (kind, key) in keys {
        if at.has(key) {
            draft.set(kind, at.key(key));
        }
    }
    if let Some(memlock) = &raw.memlock {
        draft.set_entry(K::Ulimit, "memlock", at.key("memlock"));
        draft.spec.ulimits.insert("memlock".to_owned(), Ulimit { soft: memlock.0, hard: memlock.0 });
    }
}

pub(super) fn devices(draft: &mut Draft<'_>, devices: Vec<DeviceText>) {
    for (index, device) in devices.into_iter().enumerate() {
        draft.set_entry(K::Device, &device.0.container, draft.at.key("devices").item(index));
        draft.spec.devices.insert(device.0);
    }
}

pub(super) fn capabilities(
    draft: &mut Draft<'_>,
    capabilities: Option<Capabilities>,
    add: Option<Vec<Capability>>,
    drop: Option<Vec<Capability>>,
) {
    let at = draft.at;
    let both = at.key("capabilities");
    let (first_add, add_at, first_drop) = match capabilities {
        None => (Vec::new(), both, Vec::new()),
        Some(Capabilities::Add(add)) => (add, both, Vec::new()),
        Some(Capabilities::Split(split)) => {
            (split.add.unwrap_or_default(), both.key("add"), split.drop.unwrap_or_default())
        }
    };
    let adds = [(first_add, add_at), (add.unwrap_or_default(), at.key("cap_add"))];
    let drops = [(first_drop, both.key("drop")), (drop.unwrap_or_default(), at.key("cap_drop"))];
    for (list, at) in adds {
        for (index, name) in list.into_iter().enumerate() {
            draft.set_entry(K::CapAdd, &name.0, at.item(index));
            draft.spec.cap_add.insert(name.0);
        }
    }
    for (list, at) in drops {
        for (index, name) in list.into_iter().enumerate() {
            draft.set_entry(K::CapDrop, &name.0, at.item(index));
            draft.spec.cap_drop.insert(name.0);
        }
    }
}
