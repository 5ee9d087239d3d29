//! No settings of a daemon may crash it, in either format.
#![no_main]

use setpoint::manifest::daemon_config;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = daemon_config("daemon.kdl", text);
    let _ = daemon_config("daemon.yaml", text);
});
