//! What carries HTTP/2: a stream of bytes that can report how the peer began.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// The first byte that came, or why none did.
pub(super) type First = Result<u8, Arc<io::Error>>;

/// A stream of bytes.
#[derive(Debug)]
pub(super) struct Carrier<S> {
    stream: S,
    /// Until something came.
    first: Option<watch::Sender<Option<First>>>,
}

impl<S> Carrier<S> {
    /// A stream, and a channel that reports how the peer begins.
    pub(super) fn watched(stream: S) -> (Self, watch::Receiver<Option<First>>) {
        let (first, heard) = watch::channel(None);
        (Self { stream, first: Some(first) }, heard)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Carrier<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, into));
        let Some(first) = self.first.take() else { return Poll::Ready(read) };
        let (heard, read) = match read {
            Ok(()) => {
                let byte = into.filled().get(before).copied();
                (byte.ok_or_else(|| Arc::new(io::ErrorKind::UnexpectedEof.into())), Ok(()))
            }
            Err(fault) => {
                let fault = Arc::new(fault);
                (Err(Arc::clone(&fault)), Err(io::Error::new(fault.kind(), fault)))
            }
        };
        first.send_replace(Some(heard));
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Carrier<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
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
