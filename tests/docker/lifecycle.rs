//! What a deployment goes through, each step followed by an empty plan; what is not ours stays untouched throughout.

use super::cli::{Host, docker, host, image, inspect, port, text, within};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What somebody else runs on the same host, under names of this test.
struct Foreign {
    before: Value,
    name: String,
}

impl Foreign {
    fn new(host: &Host) -> Self {
        let name = host.named("foreign");
        docker(&["network", "create", &name]);
        docker(&["volume", "create", &name]);
        let volume = format!("{name}:/data");
        docker(&[
            "run",
            "-d",
            "--name",
            &name,
            "--network",
            &name,
            "-v",
            &volume,
            "--stop-signal",
            "KILL",
            &image(),
            "sleep",
            "900",
        ]);
        let mut foreign = Self { before: Value::Null, name };
        foreign.before = foreign.look();
        foreign
    }

    fn look(&self) -> Value {
        let mut container = inspect(&self.name);
        // The engine's own limits stand in another order each time.
        if let Some(limits) = container["HostConfig"]["Ulimits"].as_array_mut() {
            limits.sort_by_key(ToString::to_string);
        }
        let network = docker(&["network", "inspect", "--format", "{{.Id}} {{len .Containers}}", &self.name]);
        let volume = docker(&["volume", "inspect", "--format", "{{.Name}} {{.CreatedAt}}", &self.name]);
        serde_json::json!({
            "id": container["Id"], "state": container["State"], "restarts": container["RestartCount"],
            "config": container["HostConfig"], "network": network, "volume": volume,
        })
    }

    fn untouched(&self) {
        assert_eq!(self.look(), self.before, "what is not ours was touched");
    }
}

#[test]
fn from_the_first_to_the_last() {
    let Some(host) = host() else { return };
    let foreign = Foreign::new(&host);
    let networks = "networks: {front: {name: NAME-front}, back: {name: NAME-back}}".replace("NAME", &host.name);
    let want = |services: &[(&str, &str)]| {
        host.write("deployments/main.yaml", host.deployment(&host.name, &networks, services));
        host.commit("change");
    };
    let (ids, none) = (|services: &[&str]| services.iter().map(|one| host.id(one)).collect::<Vec<_>>(), "");

    // Create.
    let db = "networks: [back]\nresources: {memory: 64}";
    let api = "networks: [back]\ndepends_on: {db: healthy}\nenv: {MODE: one}";
    want(&[("db", db), ("api", api), ("web", none)]);
    assert_eq!(host.run(&["plan", "--detailed-exitcode"]).code, Some(2));
    host.apply();
    assert_eq!(host.containers(), ["api-1", "db-1", "foreign", "web-1"]);
    let began = |service: &str| text(&host.inspect(service)["State"]["StartedAt"]).to_owned();
    assert!(began("db") < began("api"), "what depends on something starts after it");
    foreign.untouched();

    // Change in place: limits, restart policy, networks.
    let before = ids(&["db", "api", "web"]);
    let started = began("db");
    want(&[
        ("db", "networks: [back, front]\nresources: {memory: 96, pids: 50}\nrestart: always"),
        ("api", api),
        ("web", none),
    ]);
    assert_eq!(host.steps(), ["update db/1"]);
    host.apply();
    assert_eq!((ids(&["db", "api", "web"]), began("db")), (before.clone(), started));
    let db_now = host.inspect("db");
    assert_eq!(db_now["HostConfig"]["Memory"], 96 << 20);
    assert_eq!(db_now["HostConfig"]["PidsLimit"], 50);
    assert_eq!(db_now["HostConfig"]["RestartPolicy"]["Name"], "always");
    assert_eq!(db_now["NetworkSettings"]["Networks"].as_object().unwrap().len(), 2);

    // Replace.
    let api = "networks: [back]\ndepends_on: {db: healthy}\nenv: {MODE: two}";
    want(&[("db", db), ("api", api), ("web", none)]);
    host.apply();
    let after = ids(&["db", "api", "web"]);
    assert_ne!(before[1], after[1], "another environment needs another container");
    assert_eq!((&before[0], &before[2]), (&after[0], &after[2]));
    assert!(docker(&["exec", &host.container("api"), "sh", "-c", "echo $MODE"]).contains("two"));
    foreign.untouched();

    // Scale up and down.
    want(&[("db", db), ("api", api), ("web", "replicas: 3")]);
    host.apply();
    assert_eq!(host.containers(), ["api-1", "db-1", "foreign", "web-1", "web-2", "web-3"]);
    want(&[("db", db), ("api", api), ("web", "replicas: 1")]);
    host.apply();
    assert_eq!(host.containers(), ["api-1", "db-1", "foreign", "web-1"]);
    assert_eq!(ids(&["web"]), after[2..], "the first replica stays");

    // Rename, and back.
    let renamed = format!("container_name: {}", host.named("face"));
    want(&[("db", db), ("api", api), ("web", &renamed)]);
    assert_eq!(host.steps(), ["rename web/1"]);
    host.apply();
    assert_eq!(text(&inspect(&host.named("face"))["Id"]), after[2]);
    want(&[("db", db), ("api", api), ("web", none)]);
    host.apply();
    assert_eq!(ids(&["web"]), after[2..]);

    // Remove a service, then all but one.
    want(&[("db", db), ("api", api)]);
    host.apply();
    assert_eq!(host.containers(), ["api-1", "db-1", "foreign"]);
    want(&[("db", db)]);
    host.apply();
    assert_eq!(host.containers(), ["db-1", "foreign"]);
    foreign.untouched();
}

#[test]
fn a_removal_beyond_the_budget_waits_for_a_word() {
    let Some(host) = host() else { return };
    host.settings("prune #true budget=\"40%\"");
    let second = host.named("second");
    let other =
        |services: &[(&str, &str)]| host.write("deployments/second.yaml", host.deployment(&second, "", services));
    other(&[("x", ""), ("y", ""), ("z", "")]);
    host.want(&[("a", ""), ("b", "")]);
    host.apply();
    // One of five is 20 %: within the budget.
    host.want(&[("a", "")]);
    host.apply();
    // Three of four are more.
    host.git(&["rm", "--quiet", "deployments/second.yaml"]);
    host.commit("without the second");
    let run = host.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(run.code, Some(3), "{}", run.out);
    assert!(run.out.contains("3 instances would be removed, but the prune budget allows 1"), "{}", run.out);
    assert!(run.out.contains(&format!("setpoint apply --allow prune:{second}/x")), "{}", run.out);
    host.held(&[]);
    assert_eq!(host.containers().len(), 4, "nothing held is removed");
    host.held(&["--allow", &format!("prune:{second}/x")]);
    assert_eq!(host.containers(), ["a-1", "second-y-1", "second-z-1"], "what was named goes, and nothing else");
    host.apply_with(&["--allow", &format!("prune:{second}")]);
    assert_eq!(host.containers(), ["a-1"]);

    host.settings("prune #false");
    host.want(&[]);
    host.commit("nothing");
    let run = host.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(run.code, Some(3), "{}", run.out);
    assert!(run.out.contains("pruning is switched off"), "{}", run.out);
    host.apply_with(&["--allow", "prune"]);
    assert_eq!(host.containers(), Vec::<String>::new());
}

#[test]
fn what_is_not_ours_is_in_the_way() {
    let Some(host) = host() else { return };
    let foreign = Foreign::new(&host);
    let (port, holder) = (port(), host.named("holder"));
    let publish = format!("127.0.0.1:{port}:80");
    docker(&["run", "-d", "--name", &holder, "-p", &publish, "--stop-signal", "KILL", &image(), "sleep", "900"]);
    let before = inspect(&holder);
    let named = format!("container_name: {}", host.named("foreign"));
    let published = format!("ports: ['{port}:80']");
    let network =
        format!("networks: {{foreign: {{name: {0}-foreign}}}}\nvolumes: {{foreign: {{name: {0}-foreign}}}}", host.name);
    let services = [
        ("named", named.as_str()),
        ("port", &published),
        ("net", "networks: [foreign]"),
        ("vol", "volumes: ['foreign:/d']"),
        ("free", ""),
    ];
    host.write("deployments/main.yaml", host.deployment(&host.name, &network, &services));
    host.commit("in the way");
    let run = host.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(run.code, Some(2));
    let plan = host.plan();
    let held = |subject: &str| {
        let row = plan["held"].as_array().unwrap().iter().find(|row| text(&row["subject"]).contains(subject));
        row.map(|row| text(&row["why"]).to_owned()).unwrap_or_default()
    };
    assert!(
        held("/named/1").contains(&format!("container `{}` already exists and is not managed", foreign.name)),
        "{}",
        run.out
    );
    assert!(held("/port/1").contains(&format!("host port {port}/tcp is used by `{holder}`")), "{}", run.out);
    assert!(held("network ").contains("exists and is not managed"), "{}", run.out);
    assert!(held("volume ").contains("exists and is not managed"), "{}", run.out);
    assert!(held("/net/1").contains("needs network"), "{}", run.out);
    assert!(held("/vol/1").contains("needs volume"), "{}", run.out);
    host.held(&[]);
    assert_eq!(host.containers(), ["foreign", "free-1", "holder"]);
    let run = host.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(run.code, Some(3), "{}", run.out);
    host.ok(&["cleanup", "--environment", &host.name, "--yes"]);
    assert_eq!(host.containers(), ["foreign", "holder"]);
    foreign.untouched();
    let after = inspect(&holder);
    assert_eq!((&after["Id"], &after["State"]), (&before["Id"], &before["State"]));
}

/// Writes a build context with busybox; `text` makes it another one.
fn context(host: &Host, text: &str) {
    host.write("images/app/busybox", "");
    // With its mode: it must be committed as a program.
    std::fs::copy("/bin/busybox", host.repo().join("images/app/busybox")).unwrap();
    host.write("images/app/Dockerfile", "FROM scratch\nARG SAYS=nothing\nCOPY busybox /bin/busybox\nCOPY says /says\nENV SAYS=$SAYS\nENTRYPOINT [\"/bin/busybox\"]\n");
    host.write("images/app/.dockerignore", "ignored\n");
    host.write("images/app/says", text);
}

#[test]
fn an_image_is_built_when_its_context_changed() {
    let Some(host) = host() else { return };
    let service = "build: {context: images/app, args: {SAYS: args}}\ncommand: [sleep, '600']";
    context(&host, "one\n");
    host.want(&[("app", service)]);
    host.apply();
    let (container, built) = (host.id("app"), text(&host.inspect("app")["Image"]).to_owned());
    let says = || docker(&["exec", &host.container("app"), "/bin/busybox", "cat", "/says"]);
    assert_eq!(says(), "one");
    let env = host.inspect("app")["Config"]["Env"].to_string();
    assert!(env.contains("SAYS=args"), "{env}");

    // What is ignored, and what lies elsewhere, builds nothing.
    host.write("images/app/ignored", "anything");
    host.write("README", "anything");
    host.commit("nothing for the image");
    host.settled();
    let out = host.ok(&["build"]);
    assert!(out.contains("built as"), "{out}");
    assert_eq!(host.id("app"), container);
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Id}}", &format!("{}/app:latest", host.name)]), built);

    // A changed file does; going back finds the old image again.
    context(&host, "two\n");
    host.commit("two");
    assert_eq!(host.steps().len(), 2, "{:?}", host.steps());
    host.apply();
    assert_eq!(says(), "two");
    host.git(&["revert", "--no-edit", "HEAD"]);
    let steps = host.steps();
    assert!(steps.len() == 1 && steps[0] == "replace app/1", "the image is still there: {steps:?}");
    host.apply();
    assert_eq!((says().as_str(), text(&host.inspect("app")["Image"])), ("one", built.as_str()));

    // A build that fails leaves everything as it was.
    let container = host.id("app");
    host.write("images/app/Dockerfile", "FROM scratch\nCOPY missing /missing\n");
    host.commit("broken");
    let said = host.fails();
    assert!(said.contains("missing"), "{said}");
    assert_eq!(host.id("app"), container);
}

/// A registry on this machine.
struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    fn start(host: &Host) -> Self {
        let port = port();
        let folder = host.dir.path().join("registry");
        let config = host.dir.path().join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { child: command.spawn().expect("docker-registry is installed"), port };
        assert!(within(Duration::from_secs(20), || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()));
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_image_goes_through_a_registry() {
    let Some(host) = host() else { return };
    let registry = Registry::start(&host);
    let address = format!("127.0.0.1:{}", registry.port);
    let reference = format!("{address}/team/{}:1.0", host.named("tool"));
    context(&host, "pushed\n");
    host.write(
        "builders/tool.yaml",
        format!(
            "builder:\n  name: tool\n  registry: {{address: '{address}', project: team}}\n  settings: {{push_after_build: false}}\n  images: [{{name: {}, tag: '1.0', context: images/app}}]\n",
            host.named("tool")
        ),
    );
    host.commit("a builder");
    host.ok(&["build"]);
    host.ok(&["push"]);
    let pushed = docker(&["image", "inspect", "--format", "{{.Id}}", &reference]);
    docker(&["image", "rm", &reference]);

    let service = format!("image: {reference}\ncommand: [sleep, '600']");
    host.want(&[("tool", &service)]);
    assert_eq!(
        host.steps(),
        [format!("pull image {}", reference.replace(&format!("{}-", host.name), "")), "create tool/1".to_owned()]
    );
    host.apply();
    assert_eq!(text(&host.inspect("tool")["Image"]), pushed);
    host.ok(&["pull"]);
    host.settled();

    // The tag moves in the registry: after a pull the service follows.
    context(&host, "pushed again\n");
    host.commit("another");
    host.settled();
    host.ok(&["build", "--push"]);
    host.ok(&["pull"]);
    let changes = host.changes();
    assert!(changes.len() == 1 && changes[0].starts_with("tool/1 image "), "{changes:?}");
    host.apply();
    assert_ne!(text(&host.inspect("tool")["Image"]), pushed);

    let missing = format!("image: {address}/team/{}\ncommand: [sleep, '600']", host.named("none"));
    host.want(&[("tool", &service), ("none", &missing)]);
    let said = host.fails();
    assert!(said.contains("none") && !host.containers().contains(&"none-1".to_owned()), "{said}");
    host.want(&[("tool", &service)]);
    host.apply();
}

/// The order needs no `depends_on`, and a replaced holder takes those along that share its namespaces.
#[test]
fn who_shares_a_namespace_follows_its_holder() {
    let Some(host) = host() else { return };
    let shares = format!("network_mode: 'container:{0}'\npid: 'container:{0}'", host.container("web"));
    host.want(&[("sidecar", &shares), ("web", "")]);
    host.apply();
    let joined = || {
        let config = host.inspect("sidecar")["HostConfig"].clone();
        [text(&config["NetworkMode"]).to_owned(), text(&config["PidMode"]).to_owned()]
    };
    let before = host.id("web");
    assert_eq!(joined(), [format!("container:{before}"), format!("container:{before}")]);
    host.want(&[("sidecar", &shares), ("web", "env: {A: '1'}")]);
    host.apply();
    let after = host.id("web");
    assert_ne!(before, after);
    assert_eq!(joined(), [format!("container:{after}"), format!("container:{after}")]);
}
