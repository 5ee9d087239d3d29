//! The local API: HTTP over a Unix socket that only its owner may open. A listener says who asks ([`Principal`]), each route which
//! [`Role`] that needs.
//!
//! In: a [`crate::daemon::Handle`]. Out: JSON in the forms of [`dto`]. Each route is a translation: it asks the handle and shapes the answer, and
//! every error has one form (`error`, `code`, `hint`). Requests that change something are answered with 202 at once, and the
//! reconcile loop does the work; that for an apply is answered when it is through.

mod client;
mod client_error;
pub mod dto;
mod error;
mod exchange;
mod lines;
mod listener;
mod principal;
mod routes;
mod socket;

pub use client::{Client, Lines};
pub use client_error::ClientError;
pub use listener::{Listener, serve};
pub use principal::{Principal, Role};
pub use socket::{BindError, Socket};

#[cfg(test)]
mod tests;
