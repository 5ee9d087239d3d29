//! The Docker adapter against a real engine. Without one the tests say so and pass, unless `CI` or
//! `SETPOINT_REQUIRE_ALL` is set. Everything they make is named `sptest-…` and removed again.
#![expect(unreachable_pub, reason = "the modules of one test binary share their items")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail so")]

mod asked;
mod cli;
mod connect;
mod crash;
mod create;
mod daemon;
mod doctor;
mod drift;
mod engine;
mod events;
mod failure;
mod gate;
mod generated;
mod image;
mod keys;
mod lifecycle;
mod network;
mod relay;
mod replace;
mod rounds;
mod spec;
mod support;
mod tools;
mod torture;
mod update;
