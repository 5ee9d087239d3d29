//! Tests of the crate's adapters against real repositories, servers and files.

mod source_local;
mod support;
