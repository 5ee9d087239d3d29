//! The parsers of the units: each says what is wrong and what would be right.

mod capability;
mod cpuset;
mod device;
mod error;
mod image;
mod limit;
mod mode;
mod mount;
mod name;
mod namespace;
mod network;
mod restart;
mod share;
mod signal;
mod time;

pub(in crate::manifest) use capability::capability;
pub(in crate::manifest) use cpuset::cpuset;
pub(in crate::manifest) use device::device;
pub use error::FormError;
pub(in crate::manifest) use image::{image, tag};
pub(in crate::manifest) use limit::{limit, memlock, swap};
pub(in crate::manifest) use mode::mode;
pub(in crate::manifest) use mount::{bind_or_volume, mount, target_path, tmpfs};
pub(in crate::manifest) use name::name;
pub(in crate::manifest) use namespace::{ipc_mode, network_mode, pid_mode};
pub(crate) use network::PortRange;
pub(in crate::manifest) use network::{
    extra_host, host_name, http_target, ip, is_http_path, listen_address, port, ports, registry, service_path, subnet,
    task_address,
};
pub(in crate::manifest) use restart::restart;
pub(in crate::manifest) use share::percent;
pub(in crate::manifest) use signal::signal;
pub(in crate::manifest) use time::{instant, timespan};
