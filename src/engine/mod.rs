//! What runs instances on a node: observes them, carries out one step of a plan, tells when something happened.
//!
//! In: a [`Scope`], or a step with its [`ActContext`]. Out: what was observed, an [`Outcome`], [`EngineEvent`]s. Nothing outside
//! this folder names an engine's own types; what differs between engines is data ([`EngineInfo`]).

mod act;
mod any;
mod docker;
mod error;
mod event;
mod info;
mod log;
mod observe;
mod probe;

pub use act::{ActContext, ActError, BuildContext, Interrupt, Interruption, Made, News, Outcome};
pub use any::Engine;
pub use docker::{Credentials, PODMAN_GAPS};
pub use error::{Cause, CauseKind, EngineError};
pub use event::EngineEvent;
pub use info::{EngineInfo, Gap};
pub use log::{LogLine, LogOptions, LogStream};
pub use observe::Scope;
pub use probe::ProbeResult;
