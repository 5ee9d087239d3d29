//! Container settings of all kinds, many at once, within what an engine takes.

use crate::support::{Rig, image, words};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};
use setpoint::model::{
    Attachment, ContainerSpec, Healthcheck, Mount, PortBinding, Protocol, Resources, Restart, Test, Ulimit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

type Specs = BoxedStrategy<ContainerSpec>;
type Part = Box<dyn FnOnce(Specs) -> Specs>;

/// Half of the time the setting is left alone.
fn maybe<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
    set: impl Fn(&mut ContainerSpec, T) + 'static,
) -> Part {
    let set = std::sync::Arc::new(set);
    Box::new(move |specs| {
        (specs, proptest::option::of(value))
            .prop_map(move |(mut spec, value)| {
                value.into_iter().for_each(|value| set(&mut spec, value));
                spec
            })
            .boxed()
    })
}

fn word() -> BoxedStrategy<String> {
    "[a-z][a-z0-9]{1,6}".boxed()
}

fn text() -> BoxedStrategy<String> {
    "[ -~äß→]{0,20}".boxed()
}

fn mounts(rig: &Rig) -> BoxedStrategy<Mount> {
    let volume = rig.name("data");
    prop_oneof![
        any::<bool>().prop_map(move |read_only| Mount::Volume { name: volume.clone(), read_only }),
        (any::<bool>(), proptest::option::of(select(vec!["rslave", "rshared", "private", "slave"]))).prop_map(
            |(read_only, word)| {
                Mount::Bind { source: "/tmp".to_owned(), read_only, propagation: word.map(str::to_owned) }
            }
        ),
        (proptest::option::of(1u64..1 << 30), proptest::option::of(1u32..0o1777))
            .prop_map(|(size, mode)| Mount::Tmpfs { size, mode }),
    ]
    .boxed()
}

fn ports() -> BoxedStrategy<PortBinding> {
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    let ip = proptest::option::of(select(vec!["127.0.0.1", "10.0.0.1"]));
    (1u16.., protocol, ip, proptest::option::of(1u16..))
        .prop_map(|(container_port, protocol, ip, host_port)| PortBinding {
            container_port,
            protocol,
            host_ip: ip.map(str::to_owned),
            host_port,
        })
        .boxed()
}

fn limits() -> BoxedStrategy<Resources> {
    let some = proptest::option::of::<BoxedStrategy<u64>>;
    // The engine takes no CPUs beyond those of the host and no memory below 6 MiB.
    let memory = some((8u64 << 20..1 << 33).boxed());
    (
        some((10_000_000u64..2_000_000_000).boxed()),
        memory,
        0..4u8,
        some((1u64..9000).boxed()),
        some((2u64..2000).boxed()),
        any::<bool>(),
    )
        .prop_map(|(nano_cpus, memory, swap, pids, cpu_shares, pinned)| Resources {
            nano_cpus,
            memory,
            memory_reservation: memory.filter(|_| swap % 2 == 0).map(|bytes| bytes / 2),
            memory_swap: memory.and_then(|bytes| match swap {
                0 => Some(-1),
                1 => i64::try_from(bytes + 4096).ok(),
                _ => None,
            }),
            pids,
            cpuset: pinned.then(|| "0".to_owned()),
            cpu_shares,
        })
        .boxed()
}

fn checks() -> BoxedStrategy<Healthcheck> {
    let test = prop_oneof![Just(Test::Disabled), vec(text(), 1..4).prop_map(Test::Exec), text().prop_map(Test::Shell),];
    let time = || proptest::option::of((1u64..100_000).prop_map(Duration::from_millis));
    (test, time(), time(), proptest::option::of(1u32..9), time())
        .prop_map(|(test, interval, timeout, retries, start_period)| Healthcheck {
            test,
            interval,
            timeout,
            retries,
            start_period,
        })
        .boxed()
}

pub fn specs(rig: &Rig) -> BoxedStrategy<ContainerSpec> {
    let (a, b) = (rig.name("a"), rig.name("b"));
    let named = move |networks: Vec<(usize, Attachment)>| -> BTreeMap<String, Attachment> {
        let names = [a.clone(), b.clone()];
        networks.into_iter().map(|(index, attachment)| (names[index].clone(), attachment)).collect()
    };
    let attachment = btree_set(word(), 0..3).prop_map(|aliases| Attachment { aliases, ..Default::default() });
    let caps = || {
        subsequence(vec!["ALL", "SYS_NICE", "NET_ADMIN", "IPC_LOCK", "CHOWN"], 0..4)
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<BTreeSet<String>>())
    };
    let ulimit = (0i64..4096, 0i64..4096).prop_map(|(soft, more)| Ulimit { soft, hard: soft + more });
    let restart =
        prop_oneof![Just(Restart::Always), Just(Restart::UnlessStopped), (0u32..9).prop_map(Restart::OnFailure)];
    let parts: Vec<Part> = vec![
        maybe(vec(text(), 1..4), |spec, words| spec.command = Some(words)),
        maybe(vec(word(), 1..3), |spec, words| spec.entrypoint = Some(words)),
        maybe(btree_map("[A-Za-z_][A-Za-z0-9_.]{0,9}", text(), 0..5), |spec, env| spec.env = env),
        maybe(btree_map("[a-z]{1,5}(\\.[a-z]{1,5}){0,2}", text(), 0..4), |spec, labels| spec.labels = labels),
        maybe(word(), |spec, user| spec.user = Some(user)),
        maybe("(/[a-z0-9]{1,5}){1,3}", |spec, path| spec.working_dir = Some(path)),
        maybe(word(), |spec, name| spec.hostname = Some(name)),
        maybe(btree_set(ports(), 0..4), |spec, ports| spec.ports = ports),
        maybe(btree_map("/[a-z]{1,5}(/[a-z]{1,5}){0,2}", mounts(rig), 0..4), |spec, mounts| spec.mounts = mounts),
        maybe(vec((0..2usize, attachment), 0..3), move |spec, list| spec.networks = named(list)),
        maybe(restart, |spec, restart| spec.restart = restart),
        maybe(limits(), |spec, limits| spec.resources = limits),
        maybe(
            btree_map(select(vec!["nofile", "nproc", "core", "stack"]).prop_map(str::to_owned), ulimit, 0..3),
            |spec, limits| {
                spec.ulimits = limits;
            },
        ),
        maybe(caps(), |spec, caps| spec.cap_add = caps),
        maybe(caps(), |spec, caps| spec.cap_drop = caps),
        maybe(Just(()), |spec, ()| spec.read_only = true),
        maybe(Just(()), |spec, ()| spec.init = true),
        maybe(Just(()), |spec, ()| spec.tty = true),
        maybe(Just(()), |spec, ()| spec.stdin_open = true),
        maybe(Just(()), |spec, ()| spec.privileged = true),
        maybe(select(vec!["SIGINT", "SIGTERM", "9"]), |spec, signal| spec.stop_signal = Some(signal.to_owned())),
        maybe((0u64..999).prop_map(Duration::from_secs), |spec, grace| spec.stop_grace = Some(grace)),
        maybe(btree_set("[a-z]{1,5}:10\\.0\\.0\\.[1-9]", 0..3), |spec, hosts| spec.extra_hosts = hosts),
        maybe(vec("10\\.0\\.0\\.[1-9]", 0..3), |spec, servers| spec.dns = servers),
        maybe(btree_set("[1-9][0-9]{0,3}", 0..3), |spec, groups| spec.group_add = groups),
        maybe(select(vec!["host", "private", "shareable"]), |spec, mode| spec.ipc_mode = Some(mode.to_owned())),
        maybe(1u64 << 20..1 << 30, |spec, size| spec.shm_size = Some(size)),
        maybe(checks(), |spec, check| spec.healthcheck = Some(check)),
    ];
    let base = ContainerSpec { image: image(), command: Some(words(&["true"])), ..Default::default() };
    parts.into_iter().fold(Just(base).boxed(), |specs, part| part(specs))
}
