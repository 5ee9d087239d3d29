//! What a container is created with reads back as the same fields, for every setting and for many at once.

use crate::support::{Rig, image, import, remove_image, rig, words};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use setpoint::model::{
    Attachment, ContainerSpec, Device, FieldKind, Fields, Healthcheck, Logging, Mount, PortBinding, Protocol,
    Resources, Restart, Test, Ulimit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Creates, looks, and compares.
async fn assert_reads_back(rig: &Rig, specs: Vec<ContainerSpec>) {
    for (index, spec) in specs.iter().enumerate() {
        let launch = rig.launch_of(&format!("s{index}"), spec.clone());
        if let Err(error) = rig.docker.prepare(&launch).await {
            panic!("{error}: {:?}\n{:#?}", std::error::Error::source(&error).map(ToString::to_string), spec.fields());
        }
    }
    let observed = rig.look().await;
    for (index, spec) in specs.iter().enumerate() {
        let name = rig.name(&format!("s{index}"));
        let seen = observed.containers.iter().find(|one| one.name == name).unwrap();
        let (seen, wanted) = (seen.spec.fields(), spec.fields());
        let differs = |fields: &Fields, other: &Fields| {
            fields
                .iter()
                .filter(|(field, value)| other.get(*field) != Some(value))
                .map(|(f, v)| format!("{f}: {v}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (differs(&wanted, &seen), differs(&seen, &wanted)),
            (Vec::new(), Vec::new()),
            "wanted only, seen only, of {wanted:#?}"
        );
    }
}

fn plain() -> ContainerSpec {
    ContainerSpec { image: image(), command: Some(words(&["sleep", "60"])), ..Default::default() }
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn set<const N: usize>(items: [&str; N]) -> BTreeSet<String> {
    items.into_iter().map(str::to_owned).collect()
}

fn check(test: Test) -> Option<Healthcheck> {
    Some(Healthcheck {
        test,
        interval: Some(Duration::from_millis(1500)),
        timeout: Some(Duration::from_secs(2)),
        retries: Some(4),
        start_period: Some(Duration::from_secs(7)),
    })
}

/// Every setting on its own, in each of its shapes.
fn single(rig: &Rig) -> Vec<ContainerSpec> {
    let text = |value: &str| Some(value.to_owned());
    let with = |set: &dyn Fn(&mut ContainerSpec)| {
        let mut spec = plain();
        set(&mut spec);
        spec
    };
    let limits = |set: &dyn Fn(&mut Resources)| with(&|spec| set(&mut spec.resources));
    let mount = |mount: Mount| with(&|spec| drop(spec.mounts.insert("/data".to_owned(), mount.clone())));
    let port = |container_port, protocol, host_ip: Option<&str>, host_port| PortBinding {
        container_port,
        protocol,
        host_ip: host_ip.map(str::to_owned),
        host_port,
    };
    vec![
        plain(),
        with(&|spec| spec.entrypoint = Some(words(&["/bin/sh", "-c", "a \"quoted\" word"]))),
        with(&|spec| {
            spec.entrypoint = Some(words(&["/bin/sh"]));
            spec.command = None;
        }),
        with(&|spec| spec.env = map([("A", "1"), ("EMPTY", ""), ("URL", "http://x/?a=b&c=d"), ("LINES", "a\nb")])),
        with(&|spec| spec.labels = map([("com.example.tier", "web"), ("empty", "")])),
        with(&|spec| spec.user = text("1000:1000")),
        with(&|spec| spec.working_dir = text("/srv/app")),
        with(&|spec| spec.hostname = text("web-1")),
        with(&|spec| spec.domainname = text("example.com")),
        with(&|spec| {
            spec.ports = BTreeSet::from([
                port(80, Protocol::Tcp, None, Some(18080)),
                port(80, Protocol::Tcp, Some("127.0.0.1"), Some(18081)),
                port(53, Protocol::Udp, None, None),
                port(99, Protocol::Sctp, Some("127.0.0.1"), None),
            ]);
        }),
        mount(Mount::Volume { name: rig.name("data"), read_only: false }),
        mount(Mount::Volume { name: rig.name("data"), read_only: true }),
        mount(Mount::Bind { source: "/tmp".to_owned(), read_only: false, propagation: None }),
        mount(Mount::Bind { source: "/tmp".to_owned(), read_only: true, propagation: text("rslave") }),
        mount(Mount::Bind { source: "/tmp".to_owned(), read_only: false, propagation: text("rshared") }),
        mount(Mount::Tmpfs { size: None, mode: None }),
        mount(Mount::Tmpfs { size: Some(64 << 20), mode: Some(0o1777) }),
        with(&|spec| drop(spec.networks.insert(rig.name("a"), Attachment::default()))),
        with(&|spec| {
            let attachment = Attachment { aliases: set(["api", "web"]), ipv4: Some(rig.address(9)), ipv6: None };
            spec.networks.insert(rig.name("a"), attachment);
            spec.networks.insert(rig.name("b"), Attachment { aliases: set(["api"]), ..Default::default() });
            spec.networks.insert("bridge".to_owned(), Attachment::default());
        }),
        with(&|spec| {
            // Docker adds the host name to the aliases by itself, here it was written as one too.
            spec.hostname = text("web");
            spec.networks.insert(rig.name("b"), Attachment { aliases: set(["web"]), ..Default::default() });
        }),
        with(&|spec| spec.network_mode = text("host")),
        with(&|spec| spec.network_mode = text("none")),
        with(&|spec| spec.network_mode = Some(format!("container:{}", rig.name("s0")))),
        with(&|spec| spec.restart = Restart::Always),
        with(&|spec| spec.restart = Restart::UnlessStopped),
        with(&|spec| spec.restart = Restart::OnFailure(0)),
        with(&|spec| spec.restart = Restart::OnFailure(5)),
        limits(&|limits| limits.nano_cpus = Some(1_250_000_000)),
        limits(&|limits| limits.memory = Some(256 << 20)),
        limits(&|limits| {
            limits.memory = Some(256 << 20);
            limits.memory_swap = Some(300 << 20);
            limits.memory_reservation = Some(128 << 20);
        }),
        limits(&|limits| {
            limits.memory = Some(256 << 20);
            limits.memory_swap = Some(-1);
        }),
        limits(&|limits| limits.memory_reservation = Some(128 << 20)),
        limits(&|limits| limits.pids = Some(200)),
        limits(&|limits| limits.cpuset = text("0-1")),
        limits(&|limits| limits.cpu_shares = Some(512)),
        with(&|spec| {
            spec.ulimits = BTreeMap::from([
                ("nofile".to_owned(), Ulimit { soft: 1024, hard: 4096 }),
                ("memlock".to_owned(), Ulimit { soft: -1, hard: -1 }),
                ("rtprio".to_owned(), Ulimit { soft: 99, hard: 99 }),
            ]);
        }),
        with(&|spec| {
            let device = |host: &str, container: &str, permissions: &str| Device {
                host: host.to_owned(),
                container: container.to_owned(),
                permissions: permissions.to_owned(),
            };
            spec.devices =
                BTreeSet::from([device("/dev/null", "/dev/null", "rwm"), device("/dev/zero", "/dev/nil", "r")]);
        }),
        with(&|spec| spec.sysctls = map([("net.core.somaxconn", "1024"), ("kernel.msgmax", "65536")])),
        with(&|spec| spec.cap_add = set(["SYS_NICE", "IPC_LOCK", "ALL"])),
        with(&|spec| spec.cap_drop = set(["ALL", "NET_RAW"])),
        with(&|spec| spec.security_opt = set(["no-new-privileges", "seccomp=unconfined"])),
        with(&|spec| spec.privileged = true),
        with(&|spec| {
            spec.privileged = true;
            spec.security_opt = set(["label=disable"]);
        }),
        with(&|spec| spec.read_only = true),
        with(&|spec| spec.init = true),
        with(&|spec| spec.tty = true),
        with(&|spec| spec.stdin_open = true),
        with(&|spec| spec.stop_signal = text("SIGQUIT")),
        with(&|spec| spec.stop_grace = Some(Duration::from_secs(42))),
        with(&|spec| spec.stop_grace = Some(Duration::ZERO)),
        with(&|spec| {
            spec.logging =
                Some(Logging { driver: "json-file".to_owned(), options: map([("max-size", "1m"), ("max-file", "2")]) });
        }),
        with(&|spec| spec.logging = Some(Logging { driver: "none".to_owned(), options: BTreeMap::new() })),
        with(&|spec| spec.extra_hosts = set(["db:10.0.0.7", "db6:::1"])),
        with(&|spec| spec.dns = words(&["10.0.0.2", "10.0.0.1"])),
        with(&|spec| spec.dns_search = words(&["b.example.com", "a.example.com"])),
        with(&|spec| spec.dns_options = words(&["ndots:2", "timeout:1"])),
        with(&|spec| spec.group_add = set(["100", "44"])),
        with(&|spec| spec.pid_mode = text("host")),
        with(&|spec| spec.pid_mode = Some(format!("container:{}", rig.name("s0")))),
        with(&|spec| spec.ipc_mode = text("host")),
        with(&|spec| spec.ipc_mode = text("shareable")),
        with(&|spec| spec.ipc_mode = text("private")),
        with(&|spec| spec.shm_size = Some(128 << 20)),
        with(&|spec| spec.shm_size = Some(64 << 20)),
        with(&|spec| spec.healthcheck = check(Test::Exec(words(&["/bin/true", "-x"])))),
        with(&|spec| spec.healthcheck = check(Test::Shell("test -f /ok && true".to_owned()))),
        with(&|spec| spec.healthcheck = check(Test::Inherit)),
        with(&|spec| {
            spec.healthcheck = Some(Healthcheck {
                test: Test::Disabled,
                interval: None,
                timeout: None,
                retries: None,
                start_period: None,
            });
        }),
    ]
}

async fn networks(rig: &Rig) {
    let mut first = crate::network::network(&rig.name("a"));
    first.subnet = Some(rig.subnet());
    let create = |network| setpoint::plan::Action::CreateNetwork { network, deployment: rig.deployment() };
    rig.act(create(first)).await.unwrap();
    rig.act(create(crate::network::network(&rig.name("b")))).await.unwrap();
}

#[tokio::test]
async fn every_setting_reads_back() {
    let Some(rig) = rig().await else { return };
    networks(&rig).await;
    let specs = single(&rig);
    let kinds: BTreeSet<FieldKind> =
        specs.iter().flat_map(|spec| spec.fields().into_keys()).map(|field| field.kind).collect();
    // A file's content cannot be read back; state and name are no part of a spec.
    let all =
        (0..).map_while(kind).filter(|kind| !matches!(kind, FieldKind::State | FieldKind::Name | FieldKind::Config));
    let missing: Vec<FieldKind> = all.filter(|kind| !kinds.contains(kind)).collect();
    assert_eq!(missing, []);
    assert_reads_back(&rig, specs).await;
}

/// The kinds in the order of the type, read from its source so that a new one cannot be forgotten here.
fn kind(number: usize) -> Option<FieldKind> {
    let source = include_str!("../../src/model/field.rs");
    let body = source.split("pub enum FieldKind {").nth(1)?.split('}').next()?;
    let variants = body.lines().map(str::trim).filter(|line| line.ends_with(',') && !line.starts_with("//"));
    let name = variants.map(|line| snake(line.trim_end_matches(','))).nth(number)?;
    Some(serde_json::from_value(serde_json::Value::String(name)).unwrap())
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

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

fn specs(rig: &Rig) -> BoxedStrategy<ContainerSpec> {
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

#[tokio::test]
async fn many_settings_at_once_read_back() {
    let Some(rig) = rig().await else { return };
    networks(&rig).await;
    let mut runner = TestRunner::deterministic();
    let strategy = specs(&rig);
    let specs = (0..60).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    assert_reads_back(&rig, specs).await;
}

#[tokio::test]
async fn what_the_image_sets_is_seen_in_the_image_and_in_the_container() {
    let Some(rig) = rig().await else { return };
    let reference = format!("{}:1", rig.name("image"));
    let changes = [
        "ENV A=1",
        "LABEL tier=web",
        "USER 7",
        "WORKDIR /srv",
        "VOLUME /data",
        "ENTRYPOINT [\"/bin/sh\"]",
        "CMD [\"-c\", \"true\"]",
        "HEALTHCHECK --interval=5s CMD true",
    ];
    import(&reference, &changes).await;
    let launch = rig.launch_of("web", ContainerSpec { image: reference.clone(), ..Default::default() });
    rig.docker.prepare(&launch).await.unwrap();
    let observed = rig.look().await;
    let seen = observed.containers.iter().find(|one| one.name == launch.name).unwrap();
    let config = &observed.images[&seen.image_id].config;
    assert_eq!(config.volumes, ["/data"]);
    assert_eq!(config.labels, map([("tier", "web")]));
    assert_eq!(config.env.get("A").map(String::as_str), Some("1"));
    // The image's own volume is none of the container's settings.
    let wanted = ContainerSpec {
        image: reference.clone(),
        entrypoint: Some(config.entrypoint.clone()),
        command: Some(config.command.clone()),
        env: config.env.clone(),
        labels: config.labels.clone(),
        user: config.user.clone(),
        working_dir: config.working_dir.clone(),
        stop_signal: config.stop_signal.clone(),
        healthcheck: config.healthcheck.clone(),
        ..Default::default()
    };
    assert_eq!((wanted.user.as_deref(), wanted.working_dir.as_deref()), (Some("7"), Some("/srv")));
    assert_eq!(wanted.healthcheck.as_ref().unwrap().interval, Some(Duration::from_secs(5)));
    assert_eq!(seen.spec, wanted);
    remove_image(&reference).await;
}
