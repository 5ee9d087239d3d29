//! Tells the linker how the program is to be laid out.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if loads_packed_relocations() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the C library applies relative relocations in their packed form, as glibc does from 2.36 on. They are read at each
/// start and stay in memory: packed they take 14 KiB, and 1.2 MiB otherwise.
#[expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through its environment")]
fn loads_packed_relocations() -> bool {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let is_of_this_host = variable("CARGO_CFG_TARGET_ENV") == "gnu" && variable("HOST") == variable("TARGET");
    // «glibc 2.36»
    let version =
        Command::new("getconf").arg("GNU_LIBC_VERSION").output().map(|output| output.stdout).unwrap_or_default();
    let minor = String::from_utf8_lossy(&version).trim().strip_prefix("glibc 2.").and_then(|minor| minor.parse().ok());
    is_of_this_host && minor.is_some_and(|minor: u32| minor >= 36)
}
