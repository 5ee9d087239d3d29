//! No cron expression or zone may crash or hold up the reader of start times, or fire at a time that looking back denies.
#![no_main]

use setpoint::model::{Cadence, Timestamp};

libfuzzer_sys::fuzz_target!(|texts: (&str, &str)| {
    let Ok(cadence) = Cadence::parse(texts.0, texts.1) else { return };
    let mut at = Timestamp::UNIX_EPOCH;
    for _ in 0..20 {
        let Some(next) = cadence.next(at) else { return };
        assert!(next > at && cadence.previous(next) == Some(next));
        at = next;
    }
});
