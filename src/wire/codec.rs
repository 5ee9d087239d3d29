//! A start is sent as the bytes it was prepared as.

use super::proto::StartTaskResponse;
use super::raw::StartTaskRequest;
use bytes::{BufMut, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

/// What buffers begin with, in place of 8 KiB: pieces of this size are in each thread's own store of memory, and larger ones are
/// not (`process::ALLOCATOR_SETTINGS`): taking one may mean to wait for who takes another.
const BUFFER: usize = 1 << 10;
/// As by default: what is sent in one piece.
const SENT_AT_ONCE: usize = 32 << 10;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER, SENT_AT_ONCE)
}

/// The answer is read as a message, what is sent stands in bytes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PreparedCodec;

/// Copies bytes into the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared;

impl Codec for PreparedCodec {
    type Encode = Bytes;
    type Decode = StartTaskResponse;
    type Encoder = Prepared;
    type Decoder = ProstDecoder<StartTaskResponse>;

    fn encoder(&mut self) -> Prepared {
        Prepared
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<StartTaskRequest, StartTaskResponse>::raw_decoder(buffers())
    }
}

impl Encoder for Prepared {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
