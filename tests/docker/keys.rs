//! Every key of a service, set, changed and removed again on the real engine: the plan names the key and nothing else,
//! and right after the apply it is empty.

use super::cli::{Host, host, port};
use std::collections::BTreeMap;

/// A key with two values.
struct Case {
    id: &'static str,
    /// The fields that a plan must name when the key changes; empty when it changes no container.
    fields: &'static [&'static str],
    /// Lines of the service with the first value, and with the second.
    values: [&'static str; 2],
    /// Lines that the service has in any case.
    fixed: &'static str,
}

const fn case(id: &'static str, fields: &'static [&'static str], values: [&'static str; 2]) -> Case {
    Case { id, fields, values, fixed: "" }
}

/// What the process is and sees.
const PROCESS: &[Case] = &[
    case("command", &["command"], ["command: [sleep, '601']", "command: sleep '602'"]),
    case(
        "entrypoint",
        &["command", "entrypoint"],
        ["entrypoint: [sleep, '601']", "entrypoint: [/bin/sleep]\ncommand: '602'"],
    ),
    case("env", &["env"], ["env: {MODE: one}", "env: ['MODE=two words', 'EMPTY=']"]),
    case("env-file", &["env"], ["env_file: one.env", "env_file: [one.env, two.env]"]),
    case("labels", &["label"], ["labels: {org.example.a: one}", "labels: ['org.example.a=two', 'b=']"]),
    case("user", &["user"], ["user: '1000'", "user: '1000:1000'"]),
    case("working-dir", &["working_dir"], ["working_dir: /bin", "working_dir: /made/anew"]),
    case("hostname", &["hostname"], ["hostname: one", "hostname: two.example"]),
    case("domainname", &["domainname"], ["domainname: one.example", "domainname: two.example"]),
    case("name", &["container_name"], ["container_name: NAME-one", "container_name: NAME-two"]),
    case("restart", &["restart"], ["restart: always", "restart: on-failure:3"]),
    case("no-restart", &["restart"], ["restart: 'no'", "restart: on-failure"]),
    Case { fixed: "init: true", ..case("stop-signal", &["stop_signal"], ["stop_signal: SIGUSR1", "stop_signal: 2"]) },
    Case {
        fixed: "stop_signal: SIGKILL",
        ..case("stop-grace", &["stop_grace_period"], ["stop_grace_period: 1", "stop_grace_period: 2s"])
    },
    case("init", &["init"], ["init: true", "init: false"]),
    case("tty", &["tty"], ["tty: true", "tty: false"]),
    case("stdin", &["stdin_open"], ["stdin_open: true", "stdin_open: false"]),
    case("order", &[], ["order: start-first", "order: stop-first"]),
    case("pull-policy", &[], ["pull_policy: never", "pull_policy: missing"]),
    case("depends", &[], ["depends_on: anchor", "depends_on: {anchor: healthy}"]),
    case(
        "check",
        &["healthcheck"],
        [
            "healthcheck: {command: 'true', interval: 1, timeout: 2, retries: 2, start_period: 1}",
            "healthcheck: {exec: [/bin/true], interval: 500ms}",
        ],
    ),
    case("check-list", &["healthcheck"], ["healthcheck: {test: [CMD, 'true']}", "healthcheck: {disable: true}"]),
    case("check-shell", &["healthcheck"], ["healthcheck: {shell: 'true && true'}", "healthcheck: {interval: 7}"]),
    Case {
        fixed: "command: [httpd, -f, -p, '80', -h, /etc]\nnetworks: [NAME-back]",
        ..case(
            "check-probe",
            &["probe"],
            [
                "healthcheck: {http: ':80/hostname', interval: 200ms}",
                "healthcheck: {tcp: 80, interval: 200ms, timeout: 1, retries: 3}",
            ],
        )
    },
];

/// Files, mounts and networks.
const OUTSIDE: &[Case] = &[
    case(
        "volume",
        &["volume"],
        ["volumes: ['NAME-v:/data']", "volumes: ['NAME-v:/data:ro', {source: NAME-w, target: /w}]"],
    ),
    case(
        "volume-declared",
        &["volume"],
        ["volumes: ['declared:/data']", "volumes: [{type: volume, source: declared, target: /data, read_only: true}]"],
    ),
    case("bind", &["volume"], ["volumes: ['/tmp:/host:ro']", "volumes: [{type: bind, source: /tmp, target: /host}]"]),
    case("tmpfs", &["volume"], ["tmpfs: /run", "tmpfs: [{target: /run, size: 1M, mode: '1770'}, '/t:size=64k']"]),
    case("tmpfs-mount", &["volume"], ["volumes: [{type: tmpfs, target: /t}]", "volumes: [{type: tmpfs, target: /u}]"]),
    case(
        "config",
        &["config"],
        [
            "configs: [{file: one.conf, target: /etc/app/one.conf}]",
            "configs: [{file: two.conf, target: /etc/app/one.conf, mode: '0640', uid: 1000, gid: 1000}]",
        ],
    ),
    case(
        "config-kept",
        &["config"],
        [
            "configs: [{file: one.conf, target: /etc/app/one.conf, on_change: none}]",
            "configs: [{file: two.conf, target: /etc/app/one.conf, on_change: {signal: SIGWINCH}}]",
        ],
    ),
    case(
        "port",
        &["port", "network", "network_mode"],
        ["ports: ['PORT1:80']", "ports: ['127.0.0.1:PORT1:80/udp', {target: 81, published: PORT2}]"],
    ),
    case(
        "port-any",
        &["port", "network", "network_mode"],
        ["ports: ['80']", "ports: [{target: 80, protocol: udp}, '127.0.0.1::81']"],
    ),
    case(
        "port-range",
        &["port", "network", "network_mode"],
        ["ports: ['PORT3-PORT4:80-81']", "ports: ['PORT3-PORT4:90-91/udp']"],
    ),
    case("networks", &["network", "network_mode"], ["networks: [NAME-back]", "networks: [NAME-back, NAME-front]"]),
    Case {
        fixed: "hostname: host",
        ..case(
            "aliases",
            &["network", "network_mode"],
            [
                "networks: {NAME-back: {aliases: [one]}}",
                "networks: {NAME-back: {aliases: [one, two]}, NAME-front: {ipv4_address: SUBNET.77}}",
            ],
        )
    },
    case("network-mode", &["network_mode"], ["network_mode: host", "network_mode: bridge"]),
    Case {
        fixed: "depends_on: anchor",
        ..case("network-of", &["network_mode"], ["network_mode: 'container:NAME-anchor-1'", "network_mode: host"])
    },
    case(
        "extra-hosts",
        &["extra_hosts"],
        ["extra_hosts: ['db:10.0.0.5']", "extra_hosts: {db: 10.0.0.6, gate: host-gateway}"],
    ),
    case("dns", &["dns"], ["dns: 10.0.0.1", "dns: [10.0.0.2, 10.0.0.1]"]),
    case("dns-search", &["dns_search"], ["dns_search: one.example", "dns_search: [two.example, one.example]"]),
    case("dns-options", &["dns_options"], ["dns_options: ['ndots:2']", "dns_options: ['ndots:3', 'rotate']"]),
];

/// Limits and rights.
const LIMITS: &[Case] = &[
    case("cpu", &["cpu"], ["resources: {cpu: 0.5}", "resources: {cpu: '1.25'}"]),
    case("memory", &["memory"], ["resources: {memory: 64}", "resources: {memory: 96MiB}"]),
    case(
        "reservation",
        &["memory_reservation"],
        ["resources: {memory_reservation: 32}", "resources: {memory_reservation: 48M}"],
    ),
    case(
        "swap",
        &["memory", "memory_swap"],
        ["resources: {memory: 64, memory_swap: 128}", "resources: {memory: 32, memory_swap: -1}"],
    ),
    case("pids", &["pids"], ["resources: {pids: 50}", "resources: {pids: 60}"]),
    case("cpuset", &["cpuset"], ["resources: {cpuset: '0'}", "resources: {cpuset: '0-1'}"]),
    case("shares", &["cpu_shares"], ["resources: {cpu_shares: 512}", "resources: {cpu_shares: 256}"]),
    case("memlock", &["ulimit"], ["resources: {memlock: 65536}", "resources: {memlock: 32KiB}"]),
    case("ulimits", &["ulimit"], ["ulimits: {nofile: 1024}", "ulimits: {nofile: {soft: 512, hard: 1024}, nproc: 512}"]),
    case("devices", &["device"], ["devices: ['/dev/null:/dev/one']", "devices: ['/dev/null:/dev/one:r', /dev/zero]"]),
    case("sysctls", &["sysctl"], ["sysctls: {net.core.somaxconn: 256}", "sysctls: ['net.core.somaxconn=512']"]),
    case(
        "capabilities",
        &["cap_add", "cap_drop"],
        ["capabilities: [NET_ADMIN]", "capabilities: {add: [CAP_SYS_TIME], drop: [chown]}"],
    ),
    case("cap-add", &["cap_add"], ["cap_add: [NET_ADMIN]", "cap_add: [NET_ADMIN, SYS_TIME]"]),
    case("cap-drop", &["cap_drop"], ["cap_drop: [ALL]", "cap_drop: [CHOWN]"]),
    case("read-only", &["read_only"], ["read_only: true", "read_only: false"]),
    case("security", &["security_opt"], ["security_opt: [no-new-privileges]", "security_opt: ['seccomp=unconfined']"]),
    case(
        "security-true",
        &["security_opt"],
        ["security_opt: ['no-new-privileges:true']", "security_opt: ['seccomp:unconfined']"],
    ),
    case(
        "logging",
        &["logging"],
        ["logging: {driver: json-file, options: {max-size: 1m, max-file: 2}}", "logging: {driver: none}"],
    ),
    case("logging-options", &["logging"], ["logging: {driver: local}", "logging: {options: {max-size: 2m}}"]),
    case("groups", &["group_add"], ["group_add: ['100']", "group_add: [100, 101]"]),
    case("pid", &["pid"], ["pid: host", "pid: 'container:NAME-anchor-1'"]),
    case("ipc", &["ipc"], ["ipc: host", "ipc: none"]),
    case("ipc-share", &["ipc"], ["ipc: shareable", "ipc: private"]),
    case("shm", &["shm_size"], ["shm_size: 1048576", "shm_size: 2MiB"]),
];

#[test]
fn keys_of_the_process() {
    converge(PROCESS);
}

#[test]
fn keys_of_mounts_and_networks() {
    converge(OUTSIDE);
}

#[test]
fn keys_of_limits_and_rights() {
    converge(LIMITS);
}

/// First value, second value, none, first value again: each change is planned as what it is and applied completely.
fn converge(cases: &[Case]) {
    let Some(host) = host() else { return };
    host.settings("wait-for-healthy #false");
    host.write("one.env", "FROM_FILE=one\nOTHER=1\n");
    host.write("two.env", "FROM_FILE=two\n");
    host.write("one.conf", "one\n");
    host.write("two.conf", "two\n");
    let mut fill = BTreeMap::from([("NAME".to_owned(), host.name.clone())]);
    let number: u32 = host.name.rsplit('-').next().unwrap().parse().unwrap();
    fill.insert("SUBNET".to_owned(), format!("10.{}.{number}", 200 + std::process::id() % 50));
    let mut ports = vec![port(), port(), port(), port()];
    while ports[2] + 1 != ports[3] {
        ports.push(port());
        ports.remove(2);
    }
    for (index, port) in ports.iter().enumerate() {
        fill.insert(format!("PORT{}", index + 1), port.to_string());
    }
    let fill = |text: &str| fill.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value));
    let wrong = &mut Vec::new();
    for (round, value) in [Some(0), Some(1), None, Some(0)].into_iter().enumerate() {
        let lines = |case: &Case| {
            let value = value.map_or("", |value| case.values[value]);
            fill(&format!("{}\n{value}", case.fixed)).trim().to_owned()
        };
        let all: Vec<(&str, String)> = cases.iter().map(|case| (case.id, lines(case))).collect();
        let mut services: Vec<(&str, &str)> = all.iter().map(|(id, lines)| (*id, lines.as_str())).collect();
        services.push(("anchor", "ipc: shareable"));
        let head = fill(
            "volumes: {declared: {name: NAME-declared, labels: {a: b}}}\nnetworks:\n  NAME-back: {}\n  NAME-front: {subnet: SUBNET.0/24, labels: {a: b}}",
        );
        host.write("deployments/main.yaml", host.deployment(&host.name, &head, &services));
        host.commit(&format!("round {round}"));
        if round > 0 {
            named(&host, cases, round, wrong);
        }
        let run = host.run(&["apply", "--yes"]);
        if run.code != Some(0) {
            wrong.push(format!("round {round}: apply\n{}{}", run.out, run.err));
        }
        wrong.extend(host.changes().iter().map(|change| format!("round {round}: left after the apply: {change}")));
        if host.run(&["plan", "--detailed-exitcode"]).code != Some(0) {
            wrong.push(format!("round {round}: left after the apply: {:?}", host.steps()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The plan names exactly the fields that changed, as a commit's.
fn named(host: &Host, cases: &[Case], round: usize, wrong: &mut Vec<String>) {
    let changes = host.changes();
    for case in cases {
        let mut fields = Vec::new();
        for change in &changes {
            let Some(change) = change.strip_prefix(&format!("{}/1 ", case.id)) else { continue };
            if !change.contains(" git: ") {
                wrong.push(format!("round {round}: {}: not a commit's change: {change}", case.id));
            }
            fields.extend(change.split(' ').next());
        }
        fields.dedup();
        // A key of several fields need not change all of them each time.
        let fits = match case.fields {
            [] | [_] => fields == case.fields,
            several => !fields.is_empty() && fields.iter().all(|field| several.contains(field)),
        };
        // `false` and no value at all are the same.
        let same = round == 2 && fields.is_empty() && (case.values[1].ends_with("false") || case.id == "ipc-share");
        if !fits && !same {
            wrong.push(format!("round {round}: {}: the plan names {fields:?} instead of {:?}", case.id, case.fields));
        }
    }
}
