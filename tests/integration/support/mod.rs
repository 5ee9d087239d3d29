//! What the tests share.

pub(crate) mod git;
pub(crate) mod git_server;
pub(crate) mod process;
