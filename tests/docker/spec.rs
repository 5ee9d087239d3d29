//! What a container is created with reads back as the same fields, for every setting and for many at once.

use crate::generated;
use crate::support::{Rig, image, import, remove_image, rig, words};
use proptest::strategy::{Strategy, ValueTree};
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
    assert_seen(rig, &specs).await;
}

/// Compares what is observed with what was wanted; a container that is not there does not count.
async fn assert_seen(rig: &Rig, specs: &[ContainerSpec]) {
    let observed = rig.look().await;
    for (index, spec) in specs.iter().enumerate() {
        let name = rig.name(&format!("s{index}"));
        let Some(seen) = observed.containers.iter().find(|one| one.name == name) else { continue };
        let (seen, wanted) = (seen.spec.fields(), rig.made_of(spec).fields());
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
    ContainerSpec { image: image(), command: Some(words(&["sleep", "600"])), ..Default::default() }
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
    // A file's content cannot be read back; state and name are no part of a spec; no engine knows of a probe.
    let elsewhere =
        |kind: &FieldKind| matches!(kind, FieldKind::State | FieldKind::Name | FieldKind::Config | FieldKind::Probe);
    let all = (0..).map_while(kind).filter(|kind| !elsewhere(kind));
    let missing: Vec<FieldKind> = all.filter(|kind| !kinds.contains(kind)).collect();
    assert_eq!(missing, []);
    assert_reads_back(&rig, specs).await;
}

/// Some defaults are filled in at the start only.
#[tokio::test]
async fn every_setting_reads_back_while_it_runs() {
    let Some(rig) = rig().await else { return };
    networks(&rig).await;
    let mut specs = single(&rig);
    for (index, spec) in specs.iter_mut().enumerate() {
        spec.stop_signal = Some("SIGKILL".to_owned());
        let launch = rig.launch_of(&format!("s{index}"), spec.clone());
        let id = rig.docker.prepare(&launch).await.unwrap();
        if let Err(error) = rig.api.start_container(id.as_str(), None).await {
            // Not every host lets a container have these.
            let rare = spec.privileged || spec.cap_add.contains("ALL") || spec.ulimits.contains_key("rtprio");
            let shared = spec.mounts.values().any(|mount| matches!(mount, Mount::Bind { propagation: Some(_), .. }));
            let sctp = spec.ports.iter().any(|port| port.protocol == Protocol::Sctp);
            assert!(rare || shared || sctp, "{error}: {:#?}", spec.fields());
        }
    }
    assert_seen(&rig, &specs).await;
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

#[tokio::test]
async fn many_settings_at_once_read_back() {
    let Some(rig) = rig().await else { return };
    networks(&rig).await;
    let mut runner = TestRunner::deterministic();
    let strategy = generated::specs(&rig);
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
    assert_eq!(seen.spec, rig.made_of(&wanted));
    remove_image(&reference).await;
}
