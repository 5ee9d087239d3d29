//! Pulls, builds, tags and pushes images.

mod build;
mod credentials;
mod helper;
mod progress;
mod reference;
mod registry;

pub use credentials::Credentials;
