//! Engines, which run the instances of a node: they are observed, carry out single steps of a plan, and report events.
//!
//! In: a [`Scope`], or a step with its [`ActContext`]. Out: an observation, an [`Outcome`], [`EngineEvent`]s. Nothing outside this
//! folder uses an engine's own types; differences between engines are data ([`EngineInfo`]).

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
