//! The daemon against a real engine and a real repository. Without an engine the tests say so and pass, unless `CI` or
//! `SETPOINT_REQUIRE_ALL` is set. Everything they make is named `sptest-dmn-…` and removed again.
#![expect(unreachable_pub, reason = "the modules of one test binary share their items")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "helpers outside test functions count as product code for these lints; tests read their own environment"
)]

#[path = "../docker/relay.rs"]
mod relay;
mod rig;
mod schedules;

mod asked;
mod commits;
mod crash;
mod drift;
mod edges;
mod example;
mod quiet;
