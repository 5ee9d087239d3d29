//! An answer that is read line by line while it comes.

use super::client_error::ClientError;
use super::exchange::{Exchange, with};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http_body_util::BodyExt;

/// No line is longer.
const LINE_LIMIT: usize = 1 << 20;

struct Reader {
    exchange: Exchange,
    buffer: BytesMut,
}

/// The lines of a body, each without its end. Ends after the first error.
pub(super) fn lines(exchange: Exchange) -> BoxStream<'static, Result<Bytes, ClientError>> {
    let reader = Reader { exchange, buffer: BytesMut::new() };
    let next = |reader: Option<Reader>| async move {
        let mut reader = reader?;
        match reader.line().await {
            Ok(line) => line.map(|line| (Ok(line), Some(reader))),
            Err(error) => Some((Err(error), None)),
        }
    };
    stream::unfold(Some(reader), next).boxed()
}

impl Reader {
    /// The next line; `None` at the end.
    async fn line(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1).freeze();
                return Ok(Some(line.slice(..end)));
            }
            if self.buffer.len() > LINE_LIMIT {
                return Err(ClientError::Answer { what: format!("a line is longer than {LINE_LIMIT} bytes") });
            }
            // Cancel-safe, and so is this function: what was read stays in the buffer.
            let Exchange { response, connection, .. } = &mut self.exchange;
            let frame = with(connection, response.body_mut().frame()).await?;
            match frame.transpose()? {
                Some(frame) => self.buffer.extend(frame.into_data().ok()),
                None => return Ok(None),
            }
        }
    }
}
