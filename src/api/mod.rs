//! The local API: HTTP over a Unix socket that only its owner may open.
//!
//! In: a [`crate::daemon::Handle`]. Out: JSON. Each route is a translation: it asks the handle and shapes the answer, and
//! every error has one form (`error`, `code`, `hint`). Requests that change something are answered with 202 at once, and the
//! reconcile loop does the work; that for an apply is answered when it is through.

mod client;
mod error;
mod routes;
mod socket;

pub use client::{Client, ClientError};
pub use error::Problem;
pub use routes::{Accepted, EventsPage, serve};
pub use socket::{BindError, Socket};

#[cfg(test)]
mod tests;
