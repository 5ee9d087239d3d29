//! The daemon against a real engine and a real repository. Without an engine the tests say so and pass, unless `CI` or
//! `SETPOINT_REQUIRE_ALL` is set. Everything they make is named `sptest-dmn-…` and removed again.
#![expect(unreachable_pub, reason = "the modules of one test binary share their items")]

mod rig;

mod commits;
mod crash;
mod drift;
mod quiet;
