//! Tests of the crate's adapters against real repositories, servers and files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "helpers outside test functions count as product code for these lints"
)]

mod cli;
mod daemon_log;
mod doctor;
mod follow;
mod interop;
mod programs;
mod runs;
mod source_http;
mod source_local;
mod source_ssh;
mod source_watch;
mod support;
