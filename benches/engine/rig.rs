//! A repo, a state folder, an image, and the clean-up of all that was made.

use crate::bare;
use crate::process::program;
use bollard::query_parameters::{
    CreateImageOptions, ListContainersOptions, ListNetworksOptions, RemoveContainerOptions, RemoveImageOptions,
};
use bollard::{Docker, body_full};
use futures_util::{StreamExt, stream};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Begins every name on the engine.
pub const PREFIX: &str = "spbench";
/// Containers removed at once; with many the engine may keep a stale endpoint of their network.
const REMOVALS: usize = 2;

/// Nothing but busybox.
pub fn image() -> String {
    format!("{PREFIX}-busybox:1")
}

/// What a figure is taken with. All that it made goes with it, also when a figure fails.
pub struct Rig {
    folder: tempfile::TempDir,
    pub api: Docker,
}

impl Rig {
    pub async fn new() -> Self {
        let rig = Self { folder: tempfile::tempdir().unwrap(), api: bare::api() };
        rig.clear().await;
        import(&rig.api).await;
        std::fs::create_dir_all(rig.repo().join("deployments")).unwrap();
        rig.git(&["init", "-q", "-b", "main"]);
        rig
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn repo(&self) -> PathBuf {
        self.path("infra")
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn git(&self, words: &[&str]) {
        let who = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
        run(Command::new("git").arg("-C").arg(self.repo()).args(who).args(words));
    }

    /// Commits one deployment of so many sleeping services on one network.
    pub fn commit(&self, name: &str, services: usize, strategy: &str) {
        let mut text = format!(
            "deployment:\n  name: {name}\n  network: {{name: {name}-net}}\n  strategy: {{{strategy}, wait_for_healthy: \
             false}}\n  services:\n"
        );
        for number in 0..services {
            let service = service();
            writeln!(text, "    - {{id: s{number}, {service}}}").unwrap();
        }
        std::fs::write(self.repo().join("deployments/bench.yaml"), text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", name]);
    }

    /// The program with these words, on this repo and state folder, its output dropped.
    pub fn setpoint(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--state-dir").arg(self.state()).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// The program on the repo.
    pub fn on_repo(&self, words: &[&str]) {
        run(self.setpoint(words).arg("--repo").arg(self.repo()));
    }

    /// Forgets all that was applied.
    pub fn forget(&self) {
        if self.state().exists() {
            std::fs::remove_dir_all(self.state()).unwrap();
        }
    }

    /// Removes every container and network of a benchmark.
    pub async fn clear(&self) {
        clear(&self.api).await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Drops must not wait inside a runtime.
        let cleared = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let api = bare::api();
                clear(&api).await;
                let options = RemoveImageOptions { force: true, ..Default::default() };
                drop(api.remove_image(&image(), Some(options), None).await);
            });
        });
        if cleared.join().is_err() {
            println!("not everything named {PREFIX}-* was removed");
        }
    }
}

/// Settings that every container has, as a deployment file and a compose file both write them.
pub fn service() -> String {
    format!("image: \"{}\", command: [sleep, \"86400\"], stop_signal: SIGKILL, restart: unless-stopped", image())
}

/// Runs a command to its end.
pub fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

async fn clear(api: &Docker) {
    let is_ours = |name: &str| name.trim_start_matches('/').starts_with(PREFIX);
    let all = ListContainersOptions { all: true, ..Default::default() };
    let containers = api.list_containers(Some(all)).await.unwrap();
    let ours = containers.into_iter().filter(|one| one.names.iter().flatten().any(|name| is_ours(name)));
    stream::iter(ours.filter_map(|one| one.id))
        .for_each_concurrent(REMOVALS, |id| async move {
            let options = RemoveContainerOptions { force: true, v: true, link: false };
            if let Err(error) = api.remove_container(&id, Some(options)).await {
                println!("container {id} was not removed: {error}");
            }
        })
        .await;
    for network in api.list_networks(None::<ListNetworksOptions>).await.unwrap() {
        if network.name.as_deref().is_some_and(is_ours)
            && let Err(error) = api.remove_network(&network.id.unwrap_or_default()).await
        {
            println!("network {:?} was not removed: {error}", network.name);
        }
    }
}

async fn import(api: &Docker) {
    let mut tar = tar::Builder::new(Vec::new());
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(busybox.len() as u64);
    tar.append_data(&mut header, "bin/busybox", &*busybox).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_mode(0o777);
    header.set_size(0);
    tar.append_link(&mut header, "bin/sleep", "busybox").unwrap();
    let (repository, tag) = image().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(repository),
        tag: Some(tag),
        ..Default::default()
    };
    let body = body_full(tar.into_inner().unwrap().into());
    let mut answers = api.create_image(Some(options), Some(body), None);
    while let Some(answer) = answers.next().await {
        answer.unwrap();
    }
}
