//! The Docker Engine through its API: observes it ([`Docker::observe`]), carries out one step ([`Docker::act`]), and reports events
//! ([`Docker::events`]).
//!
//! Nothing is decided here: a step says what is to be done and which condition must still hold. Every container, network and volume
//! that is created here has labels ([`labels`]) by which it is recognised; objects without them are not changed.

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
