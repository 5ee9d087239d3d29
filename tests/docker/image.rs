//! Images: built from a stream, pushed to and pulled from a real registry.

use crate::support::{Rig, image, remove_image, rig};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use secrecy::SecretString;
use setpoint::engine::{ActContext, ActError, BuildContext, Credentials, Engine, EngineError, News};
use setpoint::model::{ContextFile, ImageBuild, Registry};
use setpoint::plan::{Action, Guard};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::mpsc;

/// A registry of its own on a loopback port, ended by its drop.
struct LocalRegistry {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl LocalRegistry {
    /// `None` when the program is not installed and that is allowed.
    async fn start(login: Option<(&str, &str)>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let root = folder.path().display();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\nhttp:\n  addr: 127.0.0.1:{port}\n"
        );
        if let Some((user, hash)) = login {
            std::fs::write(folder.path().join("htpasswd"), format!("{user}:{hash}\n")).unwrap();
            config.push_str(&format!("auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n"));
        }
        let path = folder.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                crate::support::skip("docker-registry", &error);
                return None;
            }
        };
        let registry = Self { process, port, _folder: folder };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(registry);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("docker-registry does not listen");
    }

    fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

impl Drop for LocalRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn silent() -> mpsc::Sender<News> {
    mpsc::channel(1).0
}

fn build(rig: &Rig, digest: &str) -> ImageBuild {
    ImageBuild {
        repository: rig.name("api"),
        tag: "dev".to_owned(),
        context: "services/api".to_owned(),
        dockerfile: "services/api/build/Dockerfile".to_owned(),
        args: BTreeMap::from([("GREETING".to_owned(), "good morning".to_owned())]),
        target: Some("final".to_owned()),
        no_cache: false,
        digest: digest.to_owned(),
        files: std::sync::Arc::from(Vec::<ContextFile>::new()),
    }
}

/// A context in pieces, as it comes out of a repository.
fn context(dockerfile: &str) -> BuildContext {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8], mode| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content).unwrap();
    };
    add("build/Dockerfile", dockerfile.as_bytes(), 0o644);
    add("busybox", &std::fs::read("/bin/busybox").unwrap(), 0o755);
    add("src/main.txt", b"hello", 0o644);
    let bytes = Bytes::from(tar.into_inner().unwrap());
    let pieces: Vec<_> =
        (0..bytes.len()).step_by(65_536).map(|at| Ok(bytes.slice(at..bytes.len().min(at + 65_536)))).collect();
    stream::iter(pieces).boxed()
}

const DOCKERFILE: &str = "FROM scratch AS base
COPY busybox /bin/busybox
FROM base AS final
ARG GREETING
RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo the greeting is $GREETING\"]
COPY src /src
CMD [\"/bin/busybox\", \"cat\", \"/src/main.txt\"]
FROM final AS unused
RUN [\"/bin/busybox\", \"false\"]
";

async fn build_it(rig: &Rig, build: &ImageBuild, context: Option<BuildContext>) -> Result<(), ActError> {
    rig.act_with(Action::BuildImage(build.clone()), Guard::Nothing, context).await.map(drop)
}

fn said(rig: &Rig) -> String {
    let news = rig.news.lock().unwrap();
    news.iter().filter_map(|one| if let News::Line(line) = one { Some(format!("{line}\n")) } else { None }).collect()
}

#[tokio::test]
async fn an_image_is_built_once_and_has_both_names() {
    let Some(rig) = rig().await else { return };
    let build = build(&rig, "aaaaaaaaaaaa");
    build_it(&rig, &build, Some(context(DOCKERFILE))).await.unwrap();
    let built = rig.api.inspect_image(&build.reference()).await.unwrap();
    assert!(said(&rig).contains("the greeting is good morning"), "{}", said(&rig));
    let labels = built.config.unwrap().labels.unwrap();
    assert_eq!(labels["dev.setpoint.image.owner"], rig.owner.to_string());
    assert_eq!(labels["dev.setpoint.image.digest"], "aaaaaaaaaaaa");
    assert_eq!(rig.api.inspect_image(&build.friendly()).await.unwrap().id, built.id);
    // A container that somebody starts from it by hand is not ours.
    let by_hand = bollard::models::ContainerCreateBody { image: Some(build.reference()), ..Default::default() };
    let options =
        bollard::query_parameters::CreateContainerOptions { name: Some(rig.name("by-hand")), ..Default::default() };
    rig.api.create_container(Some(options), by_hand).await.unwrap();
    assert_eq!(rig.one(&rig.name("by-hand")).await.owner, None);
    // The same digest again: nothing is built, the people's name comes back.
    rig.docker.remove_tag(&build.friendly()).await.unwrap();
    rig.docker.remove_tag(&build.friendly()).await.unwrap();
    build_it(&rig, &build, None).await.unwrap();
    assert_eq!(rig.api.inspect_image(&build.friendly()).await.unwrap().id, built.id);
}

#[tokio::test]
async fn a_failing_build_shows_what_its_step_said() {
    let Some(rig) = rig().await else { return };
    let build = build(&rig, "bbbbbbbbbbbb");
    let dockerfile = "FROM scratch AS final\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo first; echo no such module; exit 3\"]\n";
    let error = build_it(&rig, &build, Some(context(dockerfile))).await.unwrap_err();
    let ActError::Engine(EngineError::Build { output, .. }) = &error else { panic!("{error}") };
    assert!(output.ends_with(&["first".to_owned(), "no such module".to_owned()]), "{output:?}");
    assert!(error.to_string().contains("no such module"));
    assert!(rig.api.inspect_image(&build.reference()).await.is_err());
    let error = build_it(&rig, &build, None).await.unwrap_err();
    assert!(matches!(error, ActError::Engine(EngineError::BuildContext { .. })));
    let broken: BuildContext = stream::iter([Err(std::io::Error::other("the repository is gone"))]).boxed();
    assert!(matches!(build_it(&rig, &build, Some(broken)).await, Err(ActError::Engine(EngineError::Build { .. }))));
}

#[tokio::test]
async fn an_image_goes_to_a_registry_and_comes_back() {
    let Some(rig) = rig().await else { return };
    let Some(registry) = LocalRegistry::start(None).await else { return };
    let reference = format!("{}/{}:1.5", registry.address(), rig.name("shop/api"));
    rig.docker.tag(&image(), &reference).await.unwrap();
    rig.docker.push(&reference, &[], &silent()).await.unwrap();
    rig.docker.remove_tag(&reference).await.unwrap();
    assert!(rig.api.inspect_image(&reference).await.is_err());
    let also = format!("{}:latest", rig.name("local"));
    let pull = |reference: &str| Action::PullImage { reference: reference.to_owned(), also_tag: Some(also.clone()) };
    rig.act(pull(&reference)).await.unwrap();
    assert!(said(&rig).contains("Status: Downloaded newer image"), "{}", said(&rig));
    let id = rig.api.inspect_image(&reference).await.unwrap().id;
    assert_eq!(rig.api.inspect_image(&also).await.unwrap().id, id);
    let scope = setpoint::engine::Scope {
        owner: rig.owner.clone(),
        images: BTreeSet::from([reference.clone(), rig.name("nowhere")]),
    };
    let observed = rig.docker.observe(&scope).await.unwrap();
    assert_eq!(Some(&observed.images[&reference].id), id.as_ref());
    assert!(!observed.images.contains_key(&rig.name("nowhere")) && observed.missing.is_empty());
    let absent = format!("{}/{}:9", registry.address(), rig.name("shop/api"));
    let error = rig.act(pull(&absent)).await.unwrap_err();
    let ActError::Engine(error @ EngineError::Pull { .. }) = error else { panic!("{error}") };
    assert!(error.to_string().contains(&absent));
    // The registry refuses inside an answer that began with 200.
    let error = rig.docker.push(&absent, &[], &silent()).await.unwrap_err();
    assert!(matches!(error, EngineError::Push { .. }), "{error}");
    remove_image(&reference).await;
    remove_image(&also).await;
}

/// `shop:s3cret-word` as Docker's config file keeps it.
const AUTH: &str = "c2hvcDpzM2NyZXQtd29yZA==";

#[tokio::test]
async fn a_login_comes_from_the_environment_or_dockers_config_and_shows_nowhere() {
    let Some(rig) = rig().await else { return };
    // bcrypt of `s3cret-word`
    let hash = "$2y$05$abcdefghijklmnopqrstuuEpHRRKIlpAGo.iP7Bpa.htQEJMAAnRe";
    let Some(local) = LocalRegistry::start(Some(("shop", hash))).await else { return };
    let registries = [Registry {
        address: local.address(),
        project: None,
        username: Some("shop".to_owned()),
        password_env: Some("SHOP_TOKEN".to_owned()),
        inline_token: None,
        at: crate::network::location(),
    }];
    let reference = format!("{}/{}:1", local.address(), rig.name("api"));
    rig.docker.tag(&image(), &reference).await.unwrap();
    let with = |password: Option<&'static str>| {
        let lookup = move |name: &str| password.filter(|_| name == "SHOP_TOKEN").map(SecretString::from);
        rig.docker.clone().with_credentials(Credentials::new(lookup))
    };
    let unset = with(None).push(&reference, &registries, &silent()).await.unwrap_err();
    assert!(matches!(&unset, EngineError::Credentials { reason, .. } if reason.contains("SHOP_TOKEN")), "{unset}");
    let wrong = with(Some("wr0ng-word")).push(&reference, &registries, &silent()).await.unwrap_err();
    assert!(wrong.hint().unwrap().contains("log in"), "{wrong:?}");
    assert!(!format!("{wrong:?} {wrong}").contains("wr0ng-word"));
    let docker: Engine = with(Some("s3cret-word"));
    assert!(!format!("{docker:?}").contains("s3cret"));
    docker.push(&reference, &registries, &silent()).await.unwrap();
    // What Docker's own config file knows needs nothing in the repo.
    let folder = tempfile::tempdir().unwrap();
    let from_file =
        rig.docker.clone().with_credentials(Credentials::default().with_docker_config(folder.path().into()));
    assert!(from_file.push(&reference, &[], &silent()).await.is_err());
    let config = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{AUTH}\"}}}}}}", local.address());
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    from_file.push(&reference, &[], &silent()).await.unwrap();
    std::fs::write(folder.path().join("config.json"), "{").unwrap();
    let broken = from_file.push(&reference, &[], &silent()).await.unwrap_err();
    assert!(broken.to_string().contains("config.json"), "{broken}");
    rig.docker.remove_tag(&reference).await.unwrap();
    assert!(rig.docker.pull(&reference, None, &[], &silent()).await.is_err());
    let (news, mut lines) = mpsc::channel(100);
    let action = Action::PullImage { reference: reference.clone(), also_tag: None };
    let context = ActContext {
        owner: &rig.owner,
        registries: &registries,
        context: None,
        news,
        interrupt: rig.interrupt.clone(),
    };
    docker.act(&crate::support::step(action, Guard::Nothing), context).await.unwrap();
    while let Some(line) = lines.recv().await {
        assert!(!format!("{line:?}").contains("s3cret"));
    }
    remove_image(&reference).await;
}
