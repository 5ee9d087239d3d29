//! A service's settings, completed with those of its image.

use crate::model::{ContainerSpec, Healthcheck, ImageConfig, Test};

/// What a service wants of a container that runs a certain image: its own fields over what the image sets.
///
/// Rules of the overlay: Docker Engine, `POST /containers/create`. A given entrypoint switches the image's command off;
/// environment and labels are merged; a health check takes the image's part wherever it leaves one out.
pub(super) fn effective(spec: &ContainerSpec, image: &ImageConfig) -> ContainerSpec {
    let mut spec = spec.clone();
    let words = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    if spec.entrypoint.is_none() {
        spec.entrypoint = words(&image.entrypoint);
        spec.command = spec.command.or_else(|| words(&image.command));
    }
    // An empty one takes the image's away.
    spec.entrypoint = spec.entrypoint.filter(|words| !words.is_empty());
    for (key, value) in &image.env {
        spec.env.entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in &image.labels {
        spec.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    spec.user = spec.user.or_else(|| image.user.clone());
    spec.working_dir = spec.working_dir.or_else(|| image.working_dir.clone());
    spec.stop_signal = spec.stop_signal.or_else(|| image.stop_signal.clone());
    spec.healthcheck = overlay_healthcheck(spec.healthcheck, image.healthcheck.as_ref());
    spec
}

fn overlay_healthcheck(wanted: Option<Healthcheck>, image: Option<&Healthcheck>) -> Option<Healthcheck> {
    let (mut wanted, image) = match (wanted, image) {
        (None, image) => return image.cloned(),
        (Some(wanted), None) => return Some(wanted),
        (Some(wanted), Some(image)) => (wanted, image),
    };
    if wanted.test == Test::Inherit {
        wanted.test = image.test.clone();
    }
    wanted.interval = wanted.interval.or(image.interval);
    wanted.timeout = wanted.timeout.or(image.timeout);
    wanted.retries = wanted.retries.or(image.retries);
    wanted.start_period = wanted.start_period.or(image.start_period);
    Some(wanted)
}
