//! The engine's API with nothing around it, over connections that are kept open: what everything is held against.

use crate::rig::image;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, NetworkCreateRequest, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions,
};
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use futures_util::{StreamExt, stream};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::collections::HashMap;

/// A client that keeps its connections.
pub fn api() -> Docker {
    let path = "/var/run/docker.sock";
    let client: Client<hyperlocal::UnixConnector, _> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(16).build(hyperlocal::UnixConnector);
    let send = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { Ok(answer.await?) }
    };
    let address = hyper::Uri::from(hyperlocal::Uri::new(path, "/")).to_string();
    let address = address.trim_end_matches('/').to_owned();
    Docker::connect_with_custom_transport(send, Some(address), 120, API_DEFAULT_VERSION).unwrap()
}

/// The list and inspect calls that a look at these containers needs, eight at once. Answers are read and dropped.
pub async fn look(api: &Docker, ids: &[String]) {
    let all = ListContainersOptions { all: true, ..Default::default() };
    let image = image();
    let (containers, networks, volumes, image) = tokio::join!(
        api.list_containers(Some(all)),
        api.list_networks(None::<ListNetworksOptions>),
        api.list_volumes(None::<ListVolumesOptions>),
        api.inspect_image(&image),
    );
    assert!(containers.unwrap().len() >= ids.len());
    networks.unwrap();
    volumes.unwrap();
    image.unwrap();
    let mut inspects = stream::iter(ids).map(|id| api.inspect_container(id, None)).buffer_unordered(8);
    while let Some(inspect) = inspects.next().await {
        inspect.unwrap();
    }
}

/// Makes a network and containers on it, as a first apply does: each created, then started, so many at once.
pub async fn bring_up(api: &Docker, prefix: &str, count: usize, at_once: usize) {
    let network = format!("{prefix}-net");
    let request = NetworkCreateRequest { name: network.clone(), ..Default::default() };
    api.create_network(request).await.unwrap();
    let network = &network;
    stream::iter(0..count)
        .for_each_concurrent(at_once, |number| async move {
            let id = create(api, &format!("{prefix}-{number}"), network).await;
            api.start_container(&id, None).await.unwrap();
        })
        .await;
}

/// Makes one container of the kind that all figures use.
pub async fn create(api: &Docker, name: &str, network: &str) -> String {
    let restart = RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), maximum_retry_count: None };
    let body = ContainerCreateBody {
        image: Some(image()),
        cmd: Some(vec!["sleep".to_owned(), "86400".to_owned()]),
        stop_signal: Some("SIGKILL".to_owned()),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            restart_policy: Some(restart),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.to_owned(), EndpointSettings::default())])),
        }),
        ..Default::default()
    };
    let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
    api.create_container(Some(options), body).await.unwrap().id
}
