//! Podman's Docker-compatible service: the same API, with gaps.

use super::Docker;
use crate::engine::Gap;
use bollard::errors::Error as Cause;
use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::ListContainersOptions;
use std::time::Duration;

/// Between the end of a process and its clean-up, Podman briefly reports a state that Docker does not have: number of further
/// attempts, and the pause between them.
const CLEAN_UP: (u32, Duration) = (40, Duration::from_millis(50));

const fn gap(what: &'static str, instead: &'static str) -> Gap {
    Gap { what, instead }
}

/// What does not work on Podman, as of 4.3. `docs/engines.md` has the same list.
pub const PODMAN_GAPS: &[Gap] = &[
    gap(
        "changing limits or the restart policy in place",
        "its service cannot update containers, so such a step fails: also change a setting that recreates the container, or remove the container",
    ),
    gap(
        "health checks on machines without systemd",
        "Podman runs checks with systemd timers; without systemd a check has no result, and the wait for it ends at its time limit",
    ),
    gap(
        "`init: true` without the package catatonit",
        "the container is not created: install the package, or remove `init`",
    ),
    gap("stopping a paused container", "its service refuses it, so the step fails: run `podman unpause`"),
    gap(
        "protection of networks that are in use",
        "its service removes a network together with its connections: do not connect other containers to networks of deployments",
    ),
    gap(
        "replacement of a container whose namespace another one shares",
        "Podman does not remove a container that others depend on, so the step fails: remove the other container first",
    ),
    gap(
        "drift of a container whose step failed",
        "values that Podman adds are shown as drift until the container is recreated: run an apply until it succeeds",
    ),
];

impl Docker {
    /// The engine's report about a container.
    pub(super) async fn inspect(&self, id: &str) -> Result<ContainerInspectResponse, Cause> {
        settled(|| self.api.inspect_container(id, None)).await
    }

    /// A summary of every container.
    pub(super) async fn list(&self) -> Result<Vec<ContainerSummary>, Cause> {
        let all = || ListContainersOptions { all: true, ..Default::default() };
        settled(|| self.api.list_containers(Some(all()))).await
    }
}

/// Repeats a call until no container is being cleaned up.
async fn settled<T, F: Future<Output = Result<T, Cause>>>(ask: impl Fn() -> F) -> Result<T, Cause> {
    let mut tries = 0;
    loop {
        match ask().await {
            Err(error) if tries < CLEAN_UP.0 && is_clean_up(&error) => tokio::time::sleep(CLEAN_UP.1).await,
            result => return result,
        }
        tries += 1;
    }
}

fn is_clean_up(error: &Cause) -> bool {
    matches!(error, Cause::JsonDataError { .. } | Cause::JsonSerdeError { .. })
        && error.to_string().contains("unknown variant `stopped`")
}
