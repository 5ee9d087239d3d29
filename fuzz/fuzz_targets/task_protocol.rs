//! No bytes from a peer may crash the reader of the task protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = setpoint::wire::outside::read(bytes, 1 << 20);
});
