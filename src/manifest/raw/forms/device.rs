//! Devices of the host in a container.

use super::error::{Form, FormError};
use crate::model::Device;

pub(in crate::manifest) fn device(text: &str) -> Form<Device> {
    let error = || FormError::new(format!("`{text}` is not a device"), "write `/dev/host[:/dev/container[:rwm]]`");
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, permissions) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, container] => (*host, *container, "rwm"),
        [host, container, permissions] => (*host, *container, *permissions),
        _ => return Err(error()),
    };
    let known = !permissions.is_empty() && permissions.chars().all(|letter| "rwm".contains(letter));
    if !host.starts_with('/') || !container.starts_with('/') || !known {
        return Err(error());
    }
    let owned = str::to_owned;
    Ok(Device { host: owned(host), container: owned(container), permissions: owned(permissions) })
}
