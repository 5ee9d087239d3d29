//! Whole files, compiled: what they mean, in both formats.

use super::*;
use crate::model::{
    Condition, Deployment, FileEntry, FileKind, Image, Mount, OnChange, Order, Restart, Service, ServiceRef,
    StrategyKind, Test, Ulimit,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
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

fn desired(files: &[(&str, &str)]) -> Desired {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    compile(&tree(&files)).unwrap_or_else(|report| panic!("{}", report.render(Style::default())))
}

fn mistakes(files: &[(&str, &str)]) -> String {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    compile(&tree(&files)).map(|_| ()).unwrap_err().to_string()
}

fn only(files: &[(&str, &str)]) -> Deployment {
    let desired = desired(files);
    assert_eq!(desired.deployments.len(), 1);
    desired.deployments.into_values().next().unwrap()
}

fn service<'a>(deployment: &'a Deployment, id: &str) -> &'a Service {
    deployment.services.iter().find(|service| service.id.as_str() == id).unwrap()
}

#[test]
fn the_first_fragment_of_the_existing_guide() {
    let deployment = only(&[(
        "deployments/four.yaml",
        "tasks:\n  - id: \"my_new_task\"\n    container_name: \"grpc_task4\"\n    hostname: \"task4\"\n    port: 50054\n    task_type: \"my_new_task\"  # Nome nel registry\n",
    )]);
    assert_eq!(deployment.name.as_str(), "four");
    let task = service(&deployment, "my_new_task");
    assert_eq!(task.spec.image, "grpc_task:latest");
    assert!(matches!(task.image, Image::Pull { .. }));
    assert_eq!(task.container_name.as_deref(), Some("grpc_task4"));
    assert_eq!(task.spec.hostname.as_deref(), Some("task4"));
    let words = task.spec.command.clone().unwrap();
    assert_eq!(words, ["--name", "my_new_task", "--address", "0.0.0.0:50054", "--orchestrator", "orchestrator:50050"]);
    assert_eq!(task.spec.env["TASK_ID"], "my_new_task");
    assert_eq!(task.spec.env["TZ"], "UTC");
    let port = task.spec.ports.first().unwrap();
    assert_eq!((port.container_port, port.host_port), (50054, Some(50054)));
    assert!(task.spec.networks["grpc_network"].aliases.contains("task4"));
    assert!(deployment.networks.contains_key("grpc_network"));
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
fn placeless(mut deployment: Deployment) -> String {
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
