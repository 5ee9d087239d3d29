//! Whole files, compiled: what they mean, in both formats.

use super::*;
use crate::model::{
    Condition, Deployment, FileEntry, FileKind, Image, Mount, OnChange, Order, Restart, Service, ServiceRef,
    StrategyKind, Test, Ulimit,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// A tree of regular files; `oid`s follow from the contents.
pub(super) fn tree(files: &[(&str, &[u8])]) -> FileTree {
    let mut tree = FileTree::default();
    for (path, content) in files {
        let oid = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let size = content.len() as u64;
        let content = (size <= FileTree::CONTENT_LIMIT).then(|| Arc::from(*content));
        tree.files.insert((*path).to_owned(), FileEntry { oid, kind: FileKind::Regular, size, content });
    }
    tree
}

pub(super) fn desired(files: &[(&str, &str)]) -> Desired {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    compile(&tree(&files)).unwrap_or_else(|report| panic!("{}", report.render(Style::default())))
}

pub(super) fn mistakes(files: &[(&str, &str)]) -> String {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    compile(&tree(&files)).map(|_| ()).unwrap_err().to_string()
}

pub(super) fn only(files: &[(&str, &str)]) -> Deployment {
    let desired = desired(files);
    assert_eq!(desired.deployments.len(), 1);
    desired.deployments.into_values().next().unwrap()
}

pub(super) fn service<'a>(deployment: &'a Deployment, id: &str) -> &'a Service {
    deployment.services.iter().find(|service| service.id.as_str() == id).unwrap()
}

const SHOP_FILES: [(&str, &str); 4] = [
    ("images/api/Dockerfile", "FROM scratch\n"),
    ("images/api/main.rs", "fn main() {}\n"),
    ("config/api.env", "# defaults\nLOG_LEVEL=debug\nexport REGION=\"eu west\"\n"),
    ("config/api.toml", "port = 80\n"),
];

fn shop(name: &str, text: &str) -> Deployment {
    let mut files = vec![(name, text)];
    files.extend(SHOP_FILES);
    only(&files)
}

#[test]
fn every_kind_of_setting_arrives() {
    let shop = shop("deployments/shop.yaml", include_str!("testdata/shop.yaml"));
    assert_eq!((shop.name.as_str(), shop.title.as_str()), ("shop-eu", "Shop EU"));
    assert_eq!(shop.strategy.kind, StrategyKind::Parallel);
    assert_eq!(shop.strategy.stability_window, Duration::from_millis(500));
    assert_eq!(shop.networks.keys().collect::<Vec<_>>(), ["backend", "shop_net"]);
    assert_eq!(shop.registries[0].project.as_deref(), Some("shop"));

    let db = service(&shop, "db");
    assert_eq!(db.spec.env["COUNTRY"], "no");
    assert_eq!(db.spec.env["PORT"], "8080");
    assert_eq!(db.spec.env["VERSION"], "1.10");
    assert_eq!(db.spec.env["EMPTY"], "");
    assert_eq!(db.spec.resources.memory, Some(1 << 30));
    assert_eq!(db.spec.resources.memory_swap, Some(-1));
    assert_eq!(db.spec.resources.nano_cpus, Some(1_000_000_000));
    assert_eq!(db.spec.ulimits["memlock"], Ulimit { soft: -1, hard: -1 });
    assert_eq!(db.spec.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(db.spec.restart, Restart::UnlessStopped);
    assert!(db.spec.networks["backend"].aliases.iter().eq(["db", "postgres"]));
    assert!(matches!(&db.spec.mounts["/etc/ssl"], Mount::Bind { source, read_only: true, .. } if source == "/etc/ssl"));
    let check = db.spec.healthcheck.as_ref().unwrap();
    assert_eq!(check.test, Test::Shell("pg_isready -U shop".to_owned()));
    assert_eq!(check.start_period, Some(Duration::from_secs(90)));

    let migrate = service(&shop, "migrate");
    assert!(migrate.one_shot);
    assert_eq!(migrate.spec.restart, Restart::No);
    assert_eq!(migrate.spec.image, "shop/migrate:latest");
    assert_eq!(migrate.spec.command.as_deref().unwrap(), ["migrate", "--to", "the end", "up"]);

    let api = service(&shop, "api");
    let Image::Build(build) = &api.image else { panic!("{:?}", api.image) };
    assert_eq!((build.repository.as_str(), build.tag.as_str()), ("shop-eu/api", "latest"));
    assert_eq!(build.args["FEATURE"], "on");
    assert_eq!(api.spec.image, build.reference());
    assert_eq!(build.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["Dockerfile", "main.rs"]);
    assert_eq!(api.spec.env["LOG_LEVEL"], "info");
    assert_eq!(api.spec.env["REGION"], "eu west");
    assert_eq!(api.spec.configs["/etc/api.toml"].on_change, OnChange::Signal("SIGHUP".to_owned()));
    assert_eq!(api.spec.configs["/etc/api.toml"].mode, 0o640);
    assert!(api.spec.cap_add.contains("NET_ADMIN") && api.spec.cap_drop.contains("ALL"));
    assert!(!api.spec.privileged && api.spec.read_only);
    assert_eq!(api.order, Order::StartFirst);
    let migrate = ServiceRef { deployment: shop.name.clone(), service: migrate.id.clone() };
    assert_eq!(api.depends_on[&migrate].condition, Condition::Completed);
    assert_eq!(api.depends_on[&migrate].at.line, 29);
    let origin = |field: &str| {
        let (field, at) = api.origins.iter().find(|(name, _)| name.to_string() == field).unwrap();
        (field.to_string(), at.line, at.column)
    };
    assert_eq!(origin("env LOG_LEVEL"), ("env LOG_LEVEL".to_owned(), 31, 24));
    assert_eq!(origin("port 80/tcp"), ("port 80/tcp".to_owned(), 30, 15));
    assert_eq!(origin("env REGION").1, 32);

    let web = service(&shop, "web");
    assert_eq!(web.probe.as_ref().unwrap().http_path.as_deref(), Some("/health"));
    assert_eq!(web.probe.as_ref().unwrap().interval, Duration::from_secs(2));
    assert!(web.spec.networks.contains_key("shop_net"));
}

/// A deployment without its places, which differ between the formats.
pub(super) fn placeless(mut deployment: Deployment) -> String {
    let at = crate::model::Location { file: "".into(), line: 0, column: 0 };
    deployment.at = at.clone();
    deployment.networks.values_mut().for_each(|network| network.at = at.clone());
    deployment.volumes.values_mut().for_each(|volume| volume.at = at.clone());
    deployment.registries.iter_mut().for_each(|registry| registry.at = at.clone());
    for service in &mut deployment.services {
        service.at = at.clone();
        service.origins.values_mut().for_each(|origin| *origin = at.clone());
        service.depends_on.values_mut().for_each(|dependency| dependency.at = at.clone());
    }
    format!("{deployment:#?}")
}

#[test]
fn the_two_formats_mean_the_same() {
    let yaml = shop("deployments/shop.yaml", include_str!("testdata/shop.yaml"));
    let kdl = shop("deployments/shop.kdl", include_str!("testdata/shop.kdl"));
    pretty(&placeless(yaml), &placeless(kdl));
}

/// Fails with the lines that differ.
fn pretty(left: &str, right: &str) {
    let diff = similar::TextDiff::from_lines(left, right);
    assert!(left == right, "{}", diff.unified_diff());
}

/// The files in `schema/` are what the types give. `UPDATE_SCHEMA=1 cargo test schema_files` writes them again.
#[test]
#[expect(clippy::disallowed_methods, reason = "the switch of a test, not a setting of the product")]
fn schema_files_follow_the_types() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for kind in Kind::ALL {
        let path = folder.join(format!("{kind}.schema.json"));
        let wanted = format!("{}\n", serde_json::to_string_pretty(&schema(kind)).unwrap());
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &wanted).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        pretty(&there, &wanted);
    }
}

#[test]
fn every_key_of_a_schema_is_described() {
    fn walk(value: &serde_json::Value, path: &str, missing: &mut Vec<String>) {
        for (key, property) in value.get("properties").and_then(|map| map.as_object()).into_iter().flatten() {
            if property.get("description").is_none() {
                missing.push(format!("{path}.{key}"));
            }
        }
        for (name, def) in value.get("$defs").and_then(|map| map.as_object()).into_iter().flatten() {
            walk(def, name, missing);
        }
    }
    let mut missing = Vec::new();
    for kind in Kind::ALL {
        walk(&schema(kind), kind.name(), &mut missing);
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn other_files_are_left_alone() {
    let desired = desired(&[
        (".github/workflows/ci.yaml", "jobs: ["),
        ("config/app.yaml", "services: {a: b}\n  broken: ["),
        ("config/values.yaml", "services: {a: {port: 1}}\nstrategy: {type: RollingUpdate}\n"),
        ("config/tasks.yaml", "tasks: [{name: install}]\n"),
        ("docker-compose.yml", "services: {web: {image: nginx}}\n"),
        ("teams/a/shop.yaml", "services: [{id: web, image: nginx}]\n"),
    ]);
    assert_eq!(desired.deployments.keys().map(crate::model::DeploymentName::as_str).collect::<Vec<_>>(), ["shop"]);
    assert_eq!(desired.notices.len(), 1);
}

#[test]
fn settings_are_the_defaults_of_deployments() {
    let settings = r#"
environment "prod"
apply {
    strategy "parallel" max-parallel=4
    wait-for-healthy #true
    startup-timeout "90s"
    stability-window "5s"
    on-failure "halt"
    drift "report"
    prune #true budget="35%"
}
"#;
    let desired = desired(&[("setpoint.kdl", settings), ("deployments/a.yaml", "services: [{id: a, image: b}]\n")]);
    assert_eq!(desired.settings.environment, "prod");
    assert_eq!(desired.settings.prune.budget_percent, 35);
    let strategy = &desired.deployments.values().next().unwrap().strategy;
    assert_eq!((strategy.max_parallel, strategy.startup_timeout), (4, Duration::from_secs(90)));
    assert_eq!(strategy.on_failure, crate::model::OnFailure::Halt);
}

#[test]
fn daemon_settings_are_read() {
    let text = r#"
repo "ssh://git@git.example.org/infra.git" branch="main" {
    poll "60s" jitter="10%"
    ssh key="/etc/setpoint/deploy_key" known-hosts="/etc/setpoint/known_hosts"
}
engine "docker" endpoint="unix:///var/run/docker.sock"
state-dir "/var/lib/setpoint"
socket "/run/setpoint/setpoint.sock"
log level="info" format="json"
"#;
    let config = daemon_config("daemon.kdl", text).unwrap();
    assert_eq!(config.repo.url.0, "ssh://git@git.example.org/infra.git");
    let Some(raw::daemon::Poll::Full(poll)) = config.repo.poll else { panic!() };
    assert_eq!((poll.interval.unwrap().0, poll.jitter.unwrap().0), (Duration::from_secs(60), 10));
    let report = daemon_config("daemon.kdl", "repo \"x\" brnch=\"main\"\n").unwrap_err().to_string();
    assert!(report.starts_with("error[unknown-key] daemon.kdl:1:10"), "{report}");
}

#[test]
fn a_digest_changes_with_what_the_build_sees_and_nothing_else() {
    let build = |files: &[(&str, &str)]| {
        let mut all = vec![("deployments/a.yaml", "services: [{id: a, build: images/a}]\n")];
        all.extend(files);
        match only(&all).services.remove(0).image {
            Image::Build(build) => build.digest,
            image => panic!("{image:?}"),
        }
    };
    let base = [("images/a/Dockerfile", "FROM scratch\n"), ("images/a/x", "1"), ("images/a/.dockerignore", "*.log\n")];
    let digest = build(&base);
    assert_eq!(digest.len(), 12);
    assert_eq!(digest, build(&[base[0], base[1], base[2], ("images/a/y.log", "noise"), ("images/b/z", "elsewhere")]));
    assert_ne!(digest, build(&[base[0], ("images/a/x", "2"), base[2]]));
    assert_ne!(digest, build(&[("images/a/Dockerfile", "FROM other\n"), base[1], base[2]]));
    assert_ne!(digest, build(&[base[0], ("images/a/x2", "1"), base[2]]));
}

#[test]
fn a_broken_file_is_never_replaced_by_defaults() {
    let report = mistakes(&[("setpoint.kdl", "apply {\n"), ("deployments/a.yaml", "services: [{id: a, image: b}]\n")]);
    assert!(report.contains("setpoint.kdl:1:"), "{report}");
}

#[test]
fn merge_keys_give_what_is_not_there() {
    let text = "services:\n  - &base {id: a, image: nginx, restart: always, env: {A: 1}}\n  - {<<: *base, id: b, env: {B: 2}}\n";
    let deployment = only(&[("deployments/a.yaml", text)]);
    let b = service(&deployment, "b");
    assert_eq!((b.spec.restart, b.spec.image.as_str()), (Restart::Always, "nginx:latest"));
    assert_eq!(b.spec.env.keys().collect::<Vec<_>>(), ["B"]);
}

#[test]
fn byte_order_marks_and_line_breaks_of_other_systems_are_fine() {
    let yaml = "\u{feff}services:\r\n  - id: a\r\n    image: nginx\r\n    restat: always\r\n";
    assert!(mistakes(&[("deployments/a.yaml", yaml)]).starts_with("error[unknown-key] deployments/a.yaml:4:5"));
    let kdl = "\u{feff}service \"a\" image=\"nginx\" {\r\n    restat \"always\"\r\n}\r\n";
    assert!(mistakes(&[("deployments/a.kdl", kdl)]).starts_with("error[unknown-key] deployments/a.kdl:2:5"));
}

#[test]
fn nesting_cannot_end_the_process() {
    // A stack as small as that of a worker thread; nesting that the scan lets through must fit into it.
    let work = || {
        for open in ["a {\n", "a { /* } */ ", "a { // }\n", "a (b)c d=1 {", "/*", "a \"{\" {", "{", "/-a {", "a { /-{ "]
        {
            for count in [63, 64, 65, 400, 5000] {
                let text = open.repeat(count);
                let _ = compile(&tree(&[("deployments/a.kdl", text.as_bytes())]));
            }
        }
        for open in ["[", "{a: ", "- ", "? ", "a:\n ", "!!str "] {
            let _ = compile(&tree(&[("deployments/a.yaml", open.repeat(20_000).as_bytes())]));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_file_of_mistakes_is_reported_at_once() {
    let mut text = "services:\n".to_owned();
    for number in 0..20_000 {
        text.push_str(&format!("  - {{id: s{number}, imag: x, ports: [a]}}\n"));
    }
    let report = compile(&tree(&[("deployments/a.yaml", text.as_bytes())])).map(|_| ()).unwrap_err();
    assert!(report.len() <= 3000, "{}", report.len());
    assert!(report.render(Style::default()).len() < 100_000);
}

#[test]
fn files_made_to_be_slow_are_not() {
    let many = |line: &str| format!("deployment \"a\" {{\n{}}}\n", line.repeat((1 << 18) / line.len()));
    let start = std::time::Instant::now();
    let distinct: String = (0..10_000).map(|number| format!("  E{number}: x\n")).collect();
    let env = format!("services:\n- id: a\n  image: b\n  env:\n{}", distinct.replace("  E", "    E"));
    let ports = format!("services:\n- id: a\n  image: b\n  ports: [{}]\n", "\"1-1024:1-1024\",".repeat(10_000));
    for text in [many("registry \"a\"\n"), many("volume \"a\"\n"), many("x\n")] {
        assert!(compile(&tree(&[("deployments/a.kdl", text.as_bytes())])).is_err());
    }
    assert!(compile(&tree(&[("deployments/a.yaml", env.as_bytes())])).is_ok());
    assert!(compile(&tree(&[("deployments/a.yaml", ports.as_bytes())])).is_err());
    // Generous: what is quadratic takes minutes.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_pointer_of_git_lfs_is_not_taken_for_the_file() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    let config = "services: [{id: a, image: b, configs: [{file: app.conf, target: /etc/app.conf}]}]\n";
    let report = mistakes(&[("deployments/a.yaml", config), ("app.conf", pointer)]);
    assert!(report.contains("[lfs-pointer] deployments/a.yaml:1:") && report.contains("`app.conf`"), "{report}");
    let report = mistakes(&[("deployments/a.yaml", pointer)]);
    assert!(report.starts_with("error[lfs-pointer] deployments/a.yaml:1:1"), "{report}");
    let build = "services: [{id: a, build: images/a}]\n";
    let files =
        [("deployments/a.yaml", build), ("images/a/Dockerfile", "FROM scratch\n"), ("images/a/big.bin", pointer)];
    let notices = desired(&files).notices;
    assert!(notices.iter().any(|notice| notice.text.contains("`big.bin`")), "{notices:?}");
}

#[test]
fn a_submodule_is_not_passed_over_in_silence() {
    let mut files = tree(&[
        ("deployments/a.yaml", b"services: [{id: a, build: images/a}]\n"),
        ("images/a/Dockerfile", b"FROM scratch\n"),
    ]);
    let module = FileEntry { oid: "0".repeat(40), kind: FileKind::Submodule, size: 0, content: None };
    files.files.insert("images/a/lib".to_owned(), module);
    let notices: Vec<String> = compile(&files).unwrap().notices.iter().map(|notice| notice.text.clone()).collect();
    assert!(notices.iter().any(|text| text.contains("the submodule `images/a/lib` is missing")), "{notices:?}");
    assert!(notices.iter().any(|text| text.contains("a submodule is not read")), "{notices:?}");
}
