//! The `setpoint` program: see [`setpoint::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    setpoint::source::init(setpoint::source::ServerTimeouts::default());
    setpoint::cli::main()
}
