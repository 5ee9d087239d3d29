//! Accepting over TLS: handshakes side by side, so that no peer waits for another's.

use super::incoming::{Guarded, Incoming, Place};
use super::tls::Tls;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;

/// A handshake that takes longer is given up.
const LIMIT: Duration = Duration::from_secs(5);
/// A peer has this long to read why its handshake failed, and to hang up.
const LINGER: Duration = Duration::from_secs(1);
/// How many handshakes may be in progress: more than peers of one host that all come back at the same moment. The oldest makes
/// room for one more: a peer that means it is done within a few round trips, so those that only keep a place busy go
/// first.
const MOST: usize = 256;

/// Connections whose handshake is done; those that fail are logged and left out.
pub(super) struct Handshakes {
    incoming: Incoming<TcpListener>,
    tls: Tls,
    /// Oldest first.
    under_way: VecDeque<BoxFuture<'static, Option<Secured>>>,
}

impl Handshakes {
    pub(super) fn new(incoming: Incoming<TcpListener>, tls: Tls) -> Self {
        Self { incoming, tls, under_way: VecDeque::new() }
    }

    /// The first that is done; those that failed are dropped.
    fn poll_done(&mut self, context: &mut Context<'_>) -> Option<Secured> {
        let mut at = 0;
        while let Some(handshake) = self.under_way.get_mut(at) {
            match handshake.as_mut().poll(context) {
                Poll::Pending => at += 1,
                Poll::Ready(done) => {
                    drop(self.under_way.remove(at));
                    if done.is_some() {
                        return done;
                    }
                }
            }
        }
        None
    }
}

impl Stream for Handshakes {
    type Item = io::Result<Secured>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            // Before one more is accepted, so that each is polled before it can be the oldest.
            if let Some(done) = self.poll_done(context) {
                return Poll::Ready(Some(Ok(done)));
            }
            match Pin::new(&mut self.incoming).poll_next(context) {
                Poll::Ready(Some(Ok((stream, place)))) => {
                    if self.under_way.len() == MOST {
                        tracing::debug!("too many TLS handshakes in progress; the oldest is given up");
                        drop(self.under_way.pop_front());
                    }
                    let handshake = handshake(self.tls.clone(), stream, place);
                    self.under_way.push_back(Box::pin(handshake));
                }
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Some(Err(fault))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// A failure is logged here, with the peer's address.
async fn handshake(tls: Tls, stream: TcpStream, place: Place) -> Option<Secured> {
    let peer = stream.peer_addr().ok().map(tracing::field::display);
    match tokio::time::timeout(LIMIT, tls.accept(stream)).await {
        Ok(Ok(stream)) => return Some(Guarded::new(stream, place)),
        // A probe that only checks whether the port is open ends like this.
        Ok(Err((error, _))) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(peer, "a peer hung up during the TLS handshake");
        }
        Ok(Err((error, mut stream))) => {
            tracing::warn!(peer, error = %error, "a TLS handshake failed");
            // Closed with bytes unread, the connection would be reset, and the peer might never read why.
            let rest = async {
                drop(stream.shutdown().await);
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
            };
            drop(tokio::time::timeout(LINGER, rest).await);
        }
        Err(_) => tracing::warn!(peer, limit_s = LIMIT.as_secs(), "a TLS handshake took too long"),
    }
    None
}

/// A connection to a peer that holds a certificate of the CA.
type Secured = Guarded<TlsStream<TcpStream>>;
