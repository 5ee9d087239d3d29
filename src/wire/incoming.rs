//! Accepting connections within bounds: how many there are, how long one may take to begin, and what happens when the process
//! has no room for one more.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo, UdsConnectInfo};

/// Connections of one place that listens.
const MOST: usize = 512;
/// Of these, how many from one host.
const MOST_OF_A_HOST: usize = 384;
/// Without a free file descriptor, nothing is accepted for this long: the listener stays ready, and would be asked in a loop.
const PAUSE: Duration = Duration::from_millis(100);
/// HTTP/2 begins with so many bytes from the client.
const PREFACE: usize = 24;
/// A connection on which HTTP/2 does not begin within this is closed.
const BEGIN: Duration = Duration::from_secs(5);

/// What listens.
pub(super) trait Accept: Unpin {
    type Stream;
    /// The next connection, and its host if it has one.
    fn poll_next_one(&self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Option<IpAddr>)>>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    fn poll_next_one(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Option<IpAddr>)>> {
        let (stream, from) = ready!(self.poll_accept(context))?;
        // An answer is one small packet that must not wait for another. A connection that is closed by now fails when it is read.
        let _ = stream.set_nodelay(true);
        Poll::Ready(Ok((stream, Some(from.ip().to_canonical()))))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    fn poll_next_one(&self, context: &mut Context<'_>) -> Poll<io::Result<(UnixStream, Option<IpAddr>)>> {
        let (stream, _) = ready!(self.poll_accept(context))?;
        Poll::Ready(Ok((stream, None)))
    }
}

/// The connections that are open, by host.
#[derive(Debug, Default)]
struct Open(Mutex<BTreeMap<Option<IpAddr>, usize>>);

/// A connection's place among those that may be open; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    open: Arc<Open>,
    host: Option<IpAddr>,
}

impl Place {
    fn take(open: &Arc<Open>, host: Option<IpAddr>) -> Option<Self> {
        let mut hosts = open.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = hosts.values().sum();
        let of_host = hosts.entry(host).or_default();
        // A Unix socket has no hosts.
        let is_full = all >= MOST || host.is_some() && *of_host >= MOST_OF_A_HOST;
        if is_full {
            return None;
        }
        *of_host += 1;
        Some(Self { open: Arc::clone(open), host })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut hosts = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_host) = hosts.get_mut(&self.host) {
            *of_host -= 1;
            if *of_host == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

/// Connections as they come. Those beyond the bounds are closed immediately.
#[derive(Debug)]
pub(super) struct Incoming<L> {
    listener: L,
    open: Arc<Open>,
    pause: Option<Pin<Box<Sleep>>>,
    /// The last try failed: that is logged once.
    failing: bool,
}

impl<L> Incoming<L> {
    pub(super) fn new(listener: L) -> Self {
        Self { listener, open: Arc::default(), pause: None, failing: false }
    }
}

/// Whether a failure is about the connection that was to be accepted, and not about this process.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

impl<L: Accept> Stream for Incoming<L> {
    type Item = io::Result<(L::Stream, Place)>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_next_one(context)) {
                Ok((stream, host)) => {
                    self.failing = false;
                    if let Some(place) = Place::take(&self.open, host) {
                        return Poll::Ready(Some(Ok((stream, place))));
                    }
                    tracing::debug!(
                        host = host.map(tracing::field::display),
                        "too many connections; one more is closed"
                    );
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    if !self.failing {
                        tracing::warn!(error = %error, "no connection can be accepted for now");
                    }
                    self.failing = true;
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }
}

/// A connection that holds its place, and must begin in time.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    _place: Place,
    /// Bytes of the beginning that have come, and until when all must have; `None` once they have.
    begins: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, place: Place) -> Self {
        Self::within(stream, place, BEGIN)
    }

    fn within(stream: S, place: Place, begin: Duration) -> Self {
        Self { stream, _place: place, begins: Some((0, Box::pin(sleep(begin)))) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        let Some((come, end)) = &mut self.begins else { return read };
        *come += into.filled().len() - before;
        if *come >= PREFACE {
            self.begins = None;
        } else if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Guarded<TcpStream> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl Connected for Guarded<TlsStream<TcpStream>> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.get_ref().0.connect_info()
    }
}

impl Connected for Guarded<UnixStream> {
    type ConnectInfo = UdsConnectInfo;

    fn connect_info(&self) -> UdsConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::io::AsyncReadExt;
    use tokio_stream::StreamExt;

    /// A listener that finds no file descriptor so many times, and counts how often it is asked.
    struct Poor {
        failures: Cell<usize>,
        asked: Cell<usize>,
    }

    impl Accept for Poor {
        type Stream = ();

        fn poll_next_one(&self, _: &mut Context<'_>) -> Poll<io::Result<((), Option<IpAddr>)>> {
            self.asked.set(self.asked.get() + 1);
            match self.failures.get().checked_sub(1) {
                Some(left) => {
                    self.failures.set(left);
                    Poll::Ready(Err(io::Error::from_raw_os_error(24)))
                }
                None => Poll::Ready(Ok(((), Some([10, 0, 0, 1].into())))),
            }
        }
    }

    #[tokio::test]
    async fn without_file_descriptors_nothing_is_asked_in_a_loop() {
        let mut incoming = Incoming::new(Poor { failures: Cell::new(5), asked: Cell::new(0) });
        let begin = tokio::time::Instant::now();
        incoming.next().await.unwrap().unwrap();
        assert_eq!(incoming.listener.asked.get(), 6);
        assert!(begin.elapsed() >= PAUSE * 5, "{:?}", begin.elapsed());
    }

    #[test]
    fn one_host_does_not_take_all_places_and_all_hosts_together_no_more_than_there_are() {
        let open = Arc::new(Open::default());
        let host = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
        let taken: Vec<Place> = std::iter::from_fn(|| Place::take(&open, host(1))).collect();
        assert_eq!(taken.len(), MOST_OF_A_HOST);
        let others: Vec<Place> = (2..20)
            .flat_map(|last| std::iter::from_fn(|| Place::take(&open, host(last))).take(100).collect::<Vec<_>>())
            .collect();
        assert_eq!(taken.len() + others.len(), MOST);
        assert!(Place::take(&open, None).is_none());
        drop(taken);
        assert!(Place::take(&open, host(1)).is_some(), "what was closed gives its place back");
    }

    #[tokio::test]
    async fn a_connection_that_does_not_begin_in_time_is_closed_and_one_that_has_begun_may_wait() {
        let open = Arc::new(Open::default());
        let bound = Duration::from_millis(100);
        let guarded = |stream| Guarded::within(stream, Place::take(&open, None).unwrap(), bound);
        let (_silent, there) = tokio::io::duplex(64);
        let mut read = [0; 64];
        let error = guarded(there).read(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (mut peer, there) = tokio::io::duplex(64);
        let mut begun = guarded(there);
        tokio::io::AsyncWriteExt::write_all(&mut peer, &[7; PREFACE]).await.unwrap();
        assert_eq!(begun.read(&mut read).await.unwrap(), PREFACE);
        let waits = tokio::time::timeout(3 * bound, begun.read(&mut read)).await;
        assert!(waits.is_err(), "nothing comes, and that is not an error: {waits:?}");
    }
}
