//! The config repo: a git address in, the files of one revision out.
//!
//! A [`Source`] is a handle on two OS threads that do all git work, one for the network and one for reading (libgit2 blocks
//! on both). Each opens the repository for itself, for each request. Requests are bounded, answers come by oneshot,
//! transfers are given up when the last handle goes.
//! A repository on this machine is opened in place and never written to; any other is cloned bare into a cache folder.
//! Files are read from git objects; nothing is checked out.
//!
//! This module does not decide when to read ([`Source::watch`] only hints) and does not interpret a single file.

mod address;
mod archive;
mod author;
mod cache;
mod clone;
mod config;
mod entry;
mod error;
mod failure;
mod folder;
mod handle;
mod history;
mod host_keys;
mod index;
mod known_hosts;
mod on_disk;
mod progress;
mod remote;
mod resolve;
mod tls;
mod tree;
mod watch;

pub use address::Address;
pub use archive::Blobs;
pub use author::{Author, commit_all, init as init_repository, repository_around};
pub use cache::is_bare;
pub use config::{Credentials, ServerTimeouts, SourceConfig, init};
pub use error::{GitFailure, SourceError};
pub use folder::read_folder;
pub use handle::Source;
pub use history::{ChangeKind, ChangedFile};
pub use index::read_index;
