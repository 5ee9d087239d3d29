//! A connection, a scratch image, unique names, and the clean-up of all that.

use crate::engine::{Engine, engine, engine_for_this_test};
use bollard::models::ContainerSummary;
use bollard::query_parameters::{
    CreateImageOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveContainerOptions,
    RemoveImageOptions, RemoveVolumeOptions,
};
use bollard::{API_DEFAULT_VERSION, body_full};
use futures_util::StreamExt;
use setpoint::engine::{ActContext, ActError, Interrupt, News, Outcome, Scope};
use setpoint::model::{
    CommitId, Container, ContainerId, ContainerSpec, DeploymentName, InstanceId, NodeName, Observed, OwnerId,
    ServiceId, ServiceRef, digest,
};
use setpoint::plan::{Action, Disruption, Gate, Guard, Launch, Milestone, Reason, Step, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Tests that use the scratch image now; the last one removes it.
static USERS: Mutex<u32> = Mutex::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The scratch image of this process.
pub fn image() -> String {
    format!("sptest-eng-busybox:{}", std::process::id())
}

/// What one test works with. Its drop removes all that the test made, also when the test panicked.
pub struct Rig {
    pub docker: setpoint::engine::Engine,
    pub engine: &'static Engine,
    pub api: bollard::Docker,
    pub owner: OwnerId,
    /// Begins every name that the test makes.
    pub prefix: String,
    number: u32,
    pub interrupt: Interrupt,
    /// News of the last step.
    pub news: Mutex<Vec<News>>,
}

/// A rig, or `None` when there is no engine and that is allowed.
pub async fn rig() -> Option<Rig> {
    let engine = engine_for_this_test()?;
    let docker = match setpoint::engine::Engine::connect(Some(&engine.calm())).await {
        Ok(docker) => docker,
        Err(error) => {
            skip("Docker engine", &error);
            return None;
        }
    };
    apart(|| {
        let mut users = USERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *users == 0 {
            block_on(import(&image(), &[]));
        }
        *users += 1;
    });
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("sptest-eng-{}-{number}", std::process::id());
    Some(Rig {
        docker,
        engine,
        api: api(),
        owner: OwnerId::new(format!("{prefix}/test")),
        prefix,
        number,
        interrupt: Interrupt::default(),
        news: Mutex::new(Vec::new()),
    })
}

/// Says that a test is skipped, or fails it where that is not allowed.
#[expect(clippy::disallowed_methods, reason = "the environment decides whether tests may be skipped")]
pub fn skip(what: &str, error: &dyn std::error::Error) {
    let required = ["CI", "SETPOINT_REQUIRE_ALL"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(!required, "no {what}: {error}: {:?}", error.source());
    // Past the capture of the test runner, which would keep it from everybody as long as nothing fails.
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = writeln!(std::io::stderr(), "skipped: no {what}; the tests that need it pass without having run");
    });
}

impl Drop for Rig {
    fn drop(&mut self) {
        let prefix = self.prefix.clone();
        apart(move || {
            block_on(remove_all(&prefix));
            let mut users = USERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *users -= 1;
            if *users == 0 {
                block_on(remove_image(&image()));
            }
        });
    }
}

impl Rig {
    pub fn name(&self, rest: &str) -> String {
        format!("{}-{rest}", self.prefix)
    }

    /// A subnet for this test alone.
    pub fn subnet(&self) -> String {
        format!("{}/24", self.address(0))
    }

    /// An address in it.
    pub fn address(&self, host: u8) -> String {
        format!("10.{}.{}.{host}", 100 + std::process::id() % 100, self.number % 250)
    }

    /// A launch of the scratch image that sleeps and can be stopped at once.
    pub fn launch(&self, service: &str) -> Launch {
        let spec = ContainerSpec {
            image: image(),
            command: Some(words(&["sleep", "600"])),
            stop_signal: Some("SIGKILL".to_owned()),
            ..Default::default()
        };
        self.launch_of(service, spec)
    }

    /// A launch with these settings, labelled as a planner does.
    pub fn launch_of(&self, service: &str, spec: ContainerSpec) -> Launch {
        Launch {
            instance: self.instance(service),
            name: self.name(service),
            owner: self.owner.clone(),
            revision: CommitId::new("0123456789"),
            applied: applied(&spec),
            spec,
            needs: Vec::new(),
            carried: BTreeMap::new(),
            gate: Gate::Started,
        }
    }

    /// What the engine is to report of these settings.
    pub fn made_of(&self, wish: &ContainerSpec) -> ContainerSpec {
        self.engine.made_of(wish)
    }

    pub fn instance(&self, service: &str) -> InstanceId {
        ServiceRef { deployment: self.deployment(), service: ServiceId::new(service) }.instance(1)
    }

    pub fn deployment(&self) -> DeploymentName {
        DeploymentName::new(self.prefix.clone())
    }

    pub async fn act(&self, action: Action) -> Result<Outcome, ActError> {
        self.act_if(action, Guard::Nothing).await
    }

    pub async fn act_if(&self, action: Action, guard: Guard) -> Result<Outcome, ActError> {
        self.act_with(action, guard, None).await
    }

    pub async fn act_with(
        &self,
        action: Action,
        guard: Guard,
        context: Option<setpoint::engine::BuildContext>,
    ) -> Result<Outcome, ActError> {
        let (sender, mut receiver) = mpsc::channel(64);
        let context = ActContext {
            owner: &self.owner,
            registries: &[],
            context,
            news: sender,
            interrupt: self.interrupt.clone(),
        };
        let step = step(action, guard);
        let news = async {
            let mut news = Vec::new();
            while let Some(one) = receiver.recv().await {
                news.push(one);
            }
            news
        };
        let (result, news) = tokio::join!(self.docker.act(&step, context), news);
        *self.news.lock().unwrap() = news;
        result
    }

    /// Creates and starts; the test fails when that does not end well.
    pub async fn create(&self, launch: &Launch) -> ContainerId {
        let outcome = self.act(Action::CreateInstance(Box::new(launch.clone()))).await.unwrap();
        outcome.container.unwrap()
    }

    pub fn milestones(&self) -> Vec<Milestone> {
        let news = self.news.lock().unwrap();
        news.iter().filter_map(|one| if let News::Reached(milestone) = one { Some(*milestone) } else { None }).collect()
    }

    pub async fn look(&self) -> Observed {
        let scope = Scope { owner: self.owner.clone(), images: BTreeSet::from([image()]) };
        let observed = self.docker.observe(&scope).await.unwrap();
        assert_eq!(observed.missing, Vec::<String>::new());
        observed
    }

    /// Names of all containers of this test, sorted.
    pub async fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.look().await.containers.into_iter().map(|one| one.name).collect();
        names.retain(|name| name.starts_with(&format!("{}-", self.prefix)));
        names
    }

    pub async fn find(&self, name: &str) -> Option<Container> {
        self.look().await.containers.into_iter().find(|one| one.name == name)
    }

    pub async fn one(&self, name: &str) -> Container {
        self.find(name).await.unwrap_or_else(|| panic!("no container {name}"))
    }
}

/// The digests that a planner puts into the label.
pub fn applied(spec: &ContainerSpec) -> BTreeMap<String, String> {
    spec.fields().into_iter().map(|(field, value)| (field.to_string(), digest(&value))).collect()
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub fn shell(line: &str) -> Option<Vec<String>> {
    Some(words(&["sh", "-c", line]))
}

pub fn step(action: Action, guard: Guard) -> Step {
    Step {
        id: 0,
        subject: Subject::Container(NodeName::local(), "test".to_owned()),
        deployment: None,
        action,
        guard,
        needs: Vec::new(),
        changes: Vec::new(),
        reason: Reason::New,
        disruption: Disruption::None,
    }
}

pub fn healthy(timeout: u64, window_ms: u64) -> Gate {
    Gate::Healthy { timeout: Duration::from_secs(timeout), window: Duration::from_millis(window_ms), probe: None }
}

/// A second, plain connection: what a person at the host would do.
pub fn api() -> bollard::Docker {
    bollard::Docker::connect_with_unix(&engine().plain(), 60, API_DEFAULT_VERSION).unwrap()
}

/// Imports busybox as an image, with changes in the words of a Dockerfile.
pub async fn import(reference: &str, changes: &[&str]) {
    let mut tar = tar::Builder::new(Vec::new());
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    // Else the engine chooses the mode, and some let nobody but root in.
    let mut folder = tar::Header::new_gnu();
    folder.set_entry_type(tar::EntryType::Directory);
    folder.set_mode(0o755);
    folder.set_size(0);
    tar.append_data(&mut folder, "bin/", std::io::empty()).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(busybox.len() as u64);
    tar.append_data(&mut header, "bin/busybox", &*busybox).unwrap();
    for applet in
        ["sh", "sleep", "cat", "true", "false", "kill", "echo", "httpd", "nc", "test", "stat", "id", "touch", "ls"]
    {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        // With its tag: Podman passes over a tag beside it.
        repo: Some(reference.to_owned()),
        changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        ..Default::default()
    };
    let (tar, api) = (tar.into_inner().unwrap(), api());
    // Podman's service, when it has just started, may say that an image was imported and not know it.
    for _ in 0..5 {
        let mut stream = api.create_image(Some(options.clone()), Some(body_full(tar.clone().into())), None);
        while let Some(message) = stream.next().await {
            let message = message.unwrap();
            assert!(message.error_detail.is_none(), "{reference} is not imported: {message:?}");
        }
        if api.inspect_image(reference).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the engine does not know {reference} after it was imported");
}

pub async fn remove_image(reference: &str) {
    let options = RemoveImageOptions { force: true, ..Default::default() };
    let _ = api().remove_image(reference, Some(options), None).await;
}

/// Removes what carries the prefix: containers, then networks, volumes and images.
async fn remove_all(prefix: &str) {
    let api = api();
    let all = ListContainersOptions { all: true, ..Default::default() };
    for container in api.list_containers(Some(all)).await.unwrap_or_default() {
        if is_of(&container, prefix) {
            let options = RemoveContainerOptions { force: true, v: true, link: false };
            let _ = api.remove_container(&container.id.unwrap_or_default(), Some(options)).await;
        }
    }
    let begins = |name: &str| name.starts_with(&format!("{prefix}-"));
    for network in api.list_networks(None::<ListNetworksOptions>).await.unwrap_or_default() {
        if network.name.as_deref().is_some_and(begins) {
            let _ = api.remove_network(&network.id.unwrap_or_default()).await;
        }
    }
    let volumes = api.list_volumes(None::<ListVolumesOptions>).await.ok().and_then(|list| list.volumes);
    for volume in volumes.into_iter().flatten().filter(|volume| begins(&volume.name)) {
        let _ = api.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
    }
    let images = api.list_images(None::<bollard::query_parameters::ListImagesOptions>).await.unwrap_or_default();
    for tag in images.into_iter().flat_map(|image| image.repo_tags).filter(|tag| tag.contains(&format!("{prefix}-"))) {
        remove_image(&tag).await;
    }
}

fn is_of(container: &ContainerSummary, prefix: &str) -> bool {
    let name = |name: &String| name.trim_start_matches('/').starts_with(&format!("{prefix}-"));
    container.names.iter().flatten().any(name)
}

/// Runs blocking work on a thread of its own, because drops and locks must not wait inside a runtime.
fn apart(work: impl FnOnce() + Send + 'static) {
    let result = std::thread::spawn(work).join();
    if result.is_err() && !std::thread::panicking() {
        panic!("the work around the test failed");
    }
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}
