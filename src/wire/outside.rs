//! Bytes from outside, read as a server reads them: the entry point for fuzzing.

use super::notice::EndNotice;
use super::raw::{StartTaskRequest, TaskEndNotification};
use super::start::StartCall;
use crate::model::TaskProtocol;
use prost::Message as _;

/// Reads bytes as both messages that a peer may send in two forms, and reads all of their fields. Returns whether
/// they were one of them; it never fails otherwise.
pub fn read(bytes: &[u8], limit: usize) -> bool {
    const FORMS: [TaskProtocol; 2] = [TaskProtocol::Json, TaskProtocol::Map];
    let start = StartTaskRequest::decode(bytes).ok().and_then(|request| StartCall::try_from(request).ok());
    let notice = TaskEndNotification::decode(bytes).ok().map(|notice| EndNotice::from_wire(notice, None));
    for form in FORMS {
        let _ = start.as_ref().map(|start| start.parameters(form, limit));
        let _ = notice.as_ref().map(|notice| (notice.output(form, limit), notice.metrics(form, limit)));
    }
    start.is_some() || notice.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_crash_the_reader(bytes in collection::vec(any::<u8>(), 0..200)) {
            read(&bytes, 100);
        }

        #[test]
        fn what_is_a_message_is_read(id in "[a-z]{1,9}", field in collection::vec(any::<u8>(), 0..50)) {
            let request = StartTaskRequest { task_id: id, parameters: vec![field.into()], ..Default::default() };
            prop_assert!(read(&request.encode_to_vec(), 100));
        }
    }
}
