//! A start is sent as the bytes it was prepared as.

use super::proto::StartTaskResponse;
use super::raw::StartTaskRequest;
use bytes::{BufMut, Bytes};
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::ProstCodec;

/// The answer is read as a message, what is sent stands in bytes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PreparedCodec;

/// Copies bytes into the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared;

type Plain = ProstCodec<StartTaskRequest, StartTaskResponse>;

impl Codec for PreparedCodec {
    type Encode = Bytes;
    type Decode = StartTaskResponse;
    type Encoder = Prepared;
    type Decoder = <Plain as Codec>::Decoder;

    fn encoder(&mut self) -> Prepared {
        Prepared
    }

    fn decoder(&mut self) -> Self::Decoder {
        Plain::default().decoder()
    }
}

impl Encoder for Prepared {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}
