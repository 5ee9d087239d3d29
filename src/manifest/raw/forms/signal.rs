//! Signals.

use super::error::{Form, FormError};

/// Signals by name, as `kill -l` lists them on Linux.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

pub(in crate::manifest) fn signal(text: &str) -> Form<String> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = name.parse::<usize>().ok();
    let real_time =
        name.starts_with("RTMIN") || name.starts_with("RTMAX") || number.is_some_and(|n| (32..=64).contains(&n));
    match number.and_then(|number| SIGNALS.get(number.checked_sub(1)?)) {
        Some(name) => Ok(format!("SIG{name}")),
        None if number.is_some() && real_time => Ok(name.to_owned()),
        None if real_time || SIGNALS.contains(&name) => Ok(format!("SIG{name}")),
        None => Err(FormError::new(format!("`{text}` is not a signal"), "write a name such as `SIGTERM` or `SIGHUP`")),
    }
}
