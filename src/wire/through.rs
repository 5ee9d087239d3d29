//! What arrives of what is sent: messages as bytes and back, without a connection.

use super::notice::EndNotice;
use super::proto;
use super::raw::TaskEndNotification;
use super::runner::{Arm, ArmCall, ClockReading};
use crate::model::TaskProtocol;
use prost::Message;

/// A start ahead, as its runner understands it.
pub(crate) fn arm(arm: &Arm) -> ArmCall {
    let bytes = arm.to_wire(TaskProtocol::Json).encode_to_vec();
    proto::ArmRequest::decode(bytes.as_slice()).unwrap().try_into().unwrap()
}

/// An answer about clocks.
pub(crate) fn clock(reading: ClockReading) -> ClockReading {
    let bytes = reading.into_wire().encode_to_vec();
    proto::ClockResponse::decode(bytes.as_slice()).unwrap().try_into().unwrap()
}

/// An end notice that comes from where it says.
pub(crate) fn notice(notice: &EndNotice) -> EndNotice {
    let bytes = notice.to_wire().encode_to_vec();
    EndNotice::from_wire(TaskEndNotification::decode(bytes.as_slice()).unwrap(), notice.from)
}
