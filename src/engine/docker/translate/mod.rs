//! Between our container settings and Docker's: `create` writes them, `inspect` reads them back.
//!
//! What a container was created with reads back as the same fields. Docker fills in its own defaults at creation;
//! `inspect` takes them out again, so that an absent value stays absent. What the image set stays in: the planner lays
//! the image's settings under the wanted ones instead.

mod create;
mod health;
mod inspect;
mod mounts;
mod resources;

pub(super) use create::{create_body, endpoint};
pub(super) use health::read as read_healthcheck;
pub(super) use inspect::{container, env_map, foreign, non_empty};
pub(super) use resources::{LimitsUpdate, limits_update};
