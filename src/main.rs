//! The `setpoint` program: see [`setpoint::cli`].

use std::process::ExitCode;

/// Compiling and planning ask for many small pieces of memory, which takes glibc's allocator twice as long.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by the allocator at its start.
#[cfg(feature = "jemalloc")]
#[expect(unsafe_code, reason = "the allocator finds its settings by the name of this symbol, which nothing else has")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_SETTINGS: &[u8] = setpoint::process::ALLOCATOR_SETTINGS;

fn main() -> ExitCode {
    setpoint::source::init(setpoint::source::ServerTimeouts::default());
    setpoint::cli::main()
}
