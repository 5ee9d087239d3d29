//! The one place that reads the environment, apart from the command line's own options.

use std::path::{Path, PathBuf};

/// An environment variable, when it is set, not empty and valid UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may read it")]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The state folder when none is given: `/var/lib/setpoint` for root, else `$XDG_STATE_HOME/setpoint` or
/// `~/.local/state/setpoint`.
pub fn state_dir() -> PathBuf {
    let root = rustix::process::geteuid().is_root();
    state_dir_of(root, env("XDG_STATE_HOME").as_deref(), env("HOME").as_deref())
}

/// The API socket of the daemon that uses `state_dir`, when none is given.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("setpoint.sock")
}

/// The rule behind [`state_dir`]. A relative `XDG_STATE_HOME` is ignored, as its specification asks.
fn state_dir_of(root: bool, state_home: Option<&str>, home: Option<&str>) -> PathBuf {
    if root {
        return PathBuf::from("/var/lib/setpoint");
    }
    let home = Path::new(home.unwrap_or("/"));
    match state_home.map(Path::new) {
        Some(path) if path.is_absolute() => path.join("setpoint"),
        _ => home.join(".local/state/setpoint"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_folder_follows_the_user() {
        assert_eq!(state_dir_of(true, Some("/x"), Some("/root")), Path::new("/var/lib/setpoint"));
        assert_eq!(state_dir_of(false, Some("/x"), Some("/home/a")), Path::new("/x/setpoint"));
        assert_eq!(state_dir_of(false, Some("x"), Some("/home/a")), Path::new("/home/a/.local/state/setpoint"));
        assert_eq!(state_dir_of(false, None, Some("/home/a")), Path::new("/home/a/.local/state/setpoint"));
    }

    #[test]
    fn socket_lies_in_the_state_folder() {
        assert_eq!(socket_path(Path::new("/s")), Path::new("/s/setpoint.sock"));
    }
}
