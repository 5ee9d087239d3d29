//! The existing deployment, schedule and builder files, as their guide gives them.

use super::tests::{desired, only, service};
use crate::model::{Condition, Image, Ulimit};
use std::time::Duration;

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
    assert_eq!(
        words,
        ["--name", "my_new_task", "--address", "0.0.0.0:50054", "--orchestrator", "host.docker.internal:50050"]
    );
    assert_eq!(task.spec.env["TASK_ID"], "my_new_task");
    assert_eq!(task.spec.env["TZ"], "UTC");
    let port = task.spec.ports.first().unwrap();
    assert_eq!((port.container_port, port.host_port), (50054, Some(50054)));
    assert!(task.spec.networks["grpc_network"].aliases.contains("task4"));
    assert!(deployment.networks.contains_key("grpc_network"));
}

#[test]
fn the_full_form_of_the_existing_guide() {
    let text = r#"
deployment:
  name: "gRPC Orchestrator Deployment"
  description: "orchestrator and tasks"
  network: {name: "grpc_network", driver: "bridge"}
  orchestrator:
    container_name: "grpc_orchestrator"
    hostname: "orchestrator"
    image: "grpc_orchestrator:latest"
    dockerfile: "Dockerfile.orchestrator"
    address: "0.0.0.0:50050"
    schedule_file: "/app/schedules/schedule.yaml"
    rt_config: {policy: "fifo", priority: 80, cpu_affinity: 0, lock_memory: true}
    resources: {cpuset: "0", memlock: 2048000000}
    capabilities: ["SYS_NICE"]
    healthcheck: {command: "pgrep -f orchestrator_main", interval: 5, timeout: 3, retries: 3}
  tasks:
    - id: "task_1"
      container_name: "grpc_task1"
      hostname: "task1"
      image: "grpc_task:latest"
      dockerfile: "Dockerfile.task"
      address: "0.0.0.0:50051"
      port: 50051
      task_type: "task_1"
      rt_config: {policy: "none", priority: 50, cpu_affinity: -1}
    - id: "critical_task"
      port: 50052
      rt_config:
        policy: "fifo"
        priority: 90
        cpu_affinity: 2
        lock_memory: true
      resources:
        cpuset: "2"
        memlock: 4096000000
      healthcheck:
        command: "pgrep -f task_runner"
        interval: 10
        timeout: 5
        retries: 5
  build: {context: ".", parallel: false, no_cache: true}
  strategy:
    type: "sequential"  # o "parallel"
    wait_for_healthy: true
    startup_timeout: 60  # secondi
"#;
    let files = [
        ("deployment_config.yaml", text),
        ("Dockerfile.task", "FROM scratch\n"),
        ("Dockerfile.orchestrator", "FROM scratch\n"),
        (".dockerignore", "*\n!src\n"),
        ("src/main.cpp", "int main() {}\n"),
    ];
    let deployment = only(&files);
    assert_eq!(deployment.name.as_str(), "grpc-orchestrator-deployment");
    assert!(!deployment.parallel_builds);
    assert_eq!(deployment.strategy.startup_timeout, Duration::from_secs(60));
    assert_eq!(deployment.strategy.max_parallel, 1);

    let orchestrator = service(&deployment, "orchestrator");
    let words = orchestrator.spec.command.clone().unwrap().join(" ");
    assert_eq!(
        words,
        "--address 0.0.0.0:50050 --schedule /app/schedules/schedule.yaml --policy fifo --priority 80 --cpu-affinity 0 --lock-memory"
    );
    assert_eq!(orchestrator.spec.ulimits["rtprio"], Ulimit { soft: 80, hard: 80 });
    assert_eq!(orchestrator.spec.ulimits["memlock"], Ulimit { soft: 2_048_000_000, hard: 2_048_000_000 });
    assert!(orchestrator.spec.cap_add.contains("SYS_NICE"));
    assert!(orchestrator.spec.security_opt.is_empty());
    assert_eq!(orchestrator.depends_on.len(), 2);
    assert!(orchestrator.depends_on.values().all(|dependency| dependency.condition == Condition::Healthy));

    let plain = service(&deployment, "task_1");
    assert!(plain.spec.cap_add.is_empty() && plain.spec.ulimits.is_empty());
    let Image::Build(build) = &plain.image else { panic!("{:?}", plain.image) };
    assert_eq!((build.friendly().as_str(), build.no_cache), ("grpc_task:latest", true));
    assert_eq!(
        build.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
        ["Dockerfile.task", "src/main.cpp"]
    );

    let critical = service(&deployment, "critical_task");
    assert_eq!(critical.spec.image, plain.spec.image);
    let words = critical.spec.command.clone().unwrap().join(" ");
    assert_eq!(
        words,
        "--name critical_task --address 0.0.0.0:50052 --orchestrator orchestrator:50050 --policy fifo --priority 90 --cpu-affinity 2 --lock-memory"
    );
    assert_eq!(critical.spec.hostname.as_deref(), Some("critical_task"));
    assert_eq!(critical.spec.resources.cpuset.as_deref(), Some("2"));
}

#[test]
fn other_fragments_of_the_existing_guide() {
    let tasks = "tasks:\n  - id: \"my_task\"\n    port: 50051\n    healthcheck:\n      command: \"pgrep -f task_runner\"\n      interval: 10\n      timeout: 5\n      retries: 5\n";
    assert_eq!(only(&[("deployments/a.yaml", tasks)]).services.len(), 1);
    let strategy =
        "strategy:\n  type: \"sequential\"  # o \"parallel\"\n  wait_for_healthy: true\n  startup_timeout: 60\n";
    assert_eq!(only(&[("deployments/a.yaml", strategy)]).strategy.startup_timeout, Duration::from_secs(60));
}

#[test]
fn images_come_from_gitlab_when_it_is_enabled() {
    let text = "tasks: [{id: t, port: 50051, dockerfile: Dockerfile.task}]\ngitlab: {enabled: true, registry_url: \"https://registry.gitlab.com/\", project_path: group/rt, access_token: glpat-secret}\n";
    let desired = desired(&[("deployments/a.yaml", text)]);
    let deployment = desired.deployments.values().next().unwrap();
    let Image::Pull { reference, also_tag, .. } = &service(deployment, "t").image else { panic!() };
    assert_eq!(reference, "registry.gitlab.com/group/rt/grpc_task:latest");
    assert_eq!(also_tag.as_deref(), Some("grpc_task:latest"));
    assert_eq!(deployment.registries[0].username.as_deref(), Some("gitlab-ci-token"));
    assert!(deployment.registries[0].inline_token.is_some());
    assert!(desired.notices.iter().any(|notice| notice.text.contains("revoke")));
    assert!(!format!("{desired:?}").contains("glpat-secret"));
}

#[test]
fn builder_files_in_both_spellings() {
    let one = "builder:\n  name: b\n  gitlab: {registry_url: reg.example.org, project_path: a/b, use_ci_token: true}\n  images:\n    - {name: app, tag: \"1\", context: images/api, build_args: {A: 1}}\n  settings: {parallel: true, cleanup_after_push: true}\n";
    let other = "builder:\n  name: b\n  gitlab: {registry_url: reg.example.org, project_path: a/b, use_ci_token: true}\n  images:\n    - {image_name: app, image_tag: 1, build_context: images/api, build_args: [A=1]}\n  settings: {build_parallel: yes, cleanup_local_after_push: true}\n";
    let build = |text: &str| {
        let desired = desired(&[("builder_config.yaml", text), ("images/api/Dockerfile", "FROM scratch\n")]);
        let file = desired.builds.into_iter().next().unwrap();
        (file.images[0].build.clone(), file.images[0].push_reference.clone(), file.settings)
    };
    assert_eq!(build(one), build(other));
    assert_eq!(build(one).1.as_deref(), Some("reg.example.org/a/b/app:1"));
}
