//! The protocol over real sockets.

mod listening;
mod loopback;
mod outcomes;
mod speed;
mod tls;
