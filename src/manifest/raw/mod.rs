//! The files as they are written: one type per kind of file. The JSON Schemas that editors use, and that `conform`
//! checks files with, are generated from these types; a doc comment here is the help that an editor shows.

pub mod builder;
pub mod common;
pub mod daemon;
pub mod deployment;
pub(super) mod forms;
pub mod health;
pub mod network;
pub mod service;
pub mod settings;
pub mod text;
pub mod units;
