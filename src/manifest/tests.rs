//! Whole files, compiled: what they mean, in both formats.

use super::*;
use crate::model::{
    Condition, Deployment, FileEntry, FileKind, Image, Mount, OnChange, Order, Restart, Service, StrategyKind, Test,
    Ulimit,
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
