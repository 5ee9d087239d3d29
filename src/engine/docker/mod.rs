//! The Docker Engine over its API: looks at it ([`Docker::observe`]), carries out one step ([`Docker::act`]), tells when
//! something happened ([`Docker::events`]).
//!
//! It makes no choice of its own: a step says what is to be done and what must still hold. Every container, network and
//! volume that it makes carries labels ([`labels`]) by which it is found again, and it changes nothing without them.

mod act;
mod cause;
mod connect;
mod defaults;
mod direct;
mod ended;
mod events;
mod evidence;
mod gate;
mod image;
mod labels;
mod logs;
mod observe;
mod podman;
mod probe;
mod translate;
mod transport;

pub use image::Credentials;
pub use podman::PODMAN_GAPS;

use std::sync::Arc;
use transport::Link;

/// A connection to one engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Docker {
    api: bollard::Docker,
    link: Arc<Link>,
    credentials: Credentials,
}
