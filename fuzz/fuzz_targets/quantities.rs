//! No text may crash the readers of sizes, times, CPUs and names of instances.
#![no_main]

use setpoint::model::{InstanceId, parse_cpus, parse_duration, parse_size};
use std::time::Duration;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = (parse_size(text, 1 << 20), parse_duration(text, Duration::from_secs(1)), parse_cpus(text));
    if let Ok(instance) = text.parse::<InstanceId>() {
        assert_eq!(instance.to_string().parse::<InstanceId>().as_ref(), Ok(&instance));
    }
});
