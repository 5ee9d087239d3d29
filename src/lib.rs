//! Setpoint: GitOps for Docker hosts.
//!
//! ```text
//!  commit ─▶ source ─▶ manifest ─▶ Desired ─┐
//!                                           ├─▶ plan ─▶ Plan ─▶ apply ─▶ Event ─▶ store ─▶ api · cli
//!  engine ─▶ observe ────────────▶ Observed ┘            │
//!                                                        └─ each Step runs on its engine
//!
//!  Desired.schedules ─▶ agenda ─▶ Timeline::step ─▶ Effect ─▶ runs (rt · wire) ─▶ task servers ─▶ input
//! ```
//!
//! Data moves forward only: each stage's result is the next stage's argument. The one loop is observe → plan → apply →
//! observe, and every choice is made in the plan. `ARCHITECTURE.md` tells the rest.

// vocabulary
pub mod model;
// pure stages
pub mod event;
pub mod manifest;
pub mod plan;
pub mod schedule;
// adapters
pub mod engine;
pub mod rt;
pub mod source;
pub mod store;
pub mod wire;
// conductors
pub mod apply;
pub mod daemon;
pub mod runs;
pub mod task;
// edges
pub mod api;
pub mod cli;
// shared by adapters and everything after them
pub mod process;
