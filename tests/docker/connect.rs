//! Endpoints, and what is said when nobody answers.

use crate::support::rig;
use setpoint::engine::{Engine, EngineError};
use std::error::Error;
use tokio::net::{TcpListener, UnixStream};

#[tokio::test]
async fn an_endpoint_that_nobody_serves_is_named_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let absent = format!("unix://{}/docker.sock", folder.path().display());
    let error = Engine::connect(Some(&absent)).await.unwrap_err();
    assert!(error.to_string().contains(&absent) && error.is_retryable());
    assert!(error.hint().unwrap().contains("start it"));
    // A socket that an engine left behind.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("docker.sock")).unwrap());
    let error = Engine::connect(Some(&absent)).await.unwrap_err();
    assert!(error.hint().unwrap().contains("start it"), "{error:?}");
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Engine::connect(Some(&format!("tcp://{unused}"))).await.unwrap_err();
    assert!(matches!(&error, EngineError::Connect { .. }) && error.source().is_some());
    assert!(error.hint().unwrap().contains("start it"), "{error:?}");
    for other in ["https://127.0.0.1:2376", "ssh://host", "/var/run/docker.sock"] {
        let error = Engine::connect(Some(other)).await.unwrap_err();
        assert!(matches!(&error, EngineError::Endpoint { .. }) && error.to_string().contains(other));
    }
}

#[tokio::test]
async fn a_refused_version_is_told_apart_and_agreed_on_anew() {
    let Some(rig) = rig().await else { return };
    let relay = crate::relay::Relay::of(rig.engine.socket()).await;
    let docker = Engine::connect(Some(&relay.endpoint())).await.unwrap();
    let scope = setpoint::engine::Scope { owner: rig.owner.clone(), images: Default::default() };
    docker.observe(&scope).await.unwrap();
    relay.upgrade();
    let error = docker.observe(&scope).await.unwrap_err();
    assert!(error.wants_other_version(), "{error:?}");
    docker.agree().await.unwrap();
    docker.observe(&scope).await.unwrap();
    assert_eq!(docker.info().await.unwrap().api_version, "1.44");
    relay.stop().await;
}

#[tokio::test]
async fn a_connection_may_be_made_before_its_engine_is_there() {
    let Some(rig) = rig().await else { return };
    let relay = crate::relay::Relay::of(rig.engine.socket()).await;
    relay.stop().await;
    let docker = Engine::at(Some(&relay.endpoint())).unwrap();
    let error = docker.agree().await.unwrap_err();
    assert!(!docker.is_agreed() && error.hint().unwrap().contains("start it"), "{error:?}");
    let text = setpoint::process::error::chain(&error);
    assert!(text.contains(&relay.endpoint()) && !text.contains("hyper"), "{text}");
    let relay = relay.again().await;
    docker.agree().await.unwrap();
    assert!(docker.is_agreed() && !docker.info().await.unwrap().version.is_empty());
    relay.stop().await;
}

#[tokio::test]
async fn the_engine_describes_itself_over_a_socket_and_over_tcp() {
    let Some(rig) = rig().await else { return };
    let local = Engine::connect(Some(&rig.engine.plain())).await.unwrap().info().await.unwrap();
    assert!(!local.version.is_empty() && local.api_version.starts_with("1."), "{local:?}");
    assert!(!local.storage_driver.is_empty() && !local.log_driver.is_empty() && local.cpus > 0 && local.memory > 0);
    assert!(["1", "2"].contains(&local.cgroup_version.as_str()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    // One connection at a time is enough: it is kept open from call to call.
    let relay = async {
        loop {
            let mut client = listener.accept().await.unwrap().0;
            let mut engine = UnixStream::connect(rig.engine.socket()).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
        }
    };
    let talk = async { Engine::connect(Some(&endpoint)).await.unwrap().info().await.unwrap() };
    let remote = tokio::select! {
        remote = talk => remote,
        () = relay => unreachable!("the relay goes on"),
    };
    assert_eq!(remote, local);
}
