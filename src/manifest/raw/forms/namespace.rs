//! Namespaces that a container shares with its host or with another container.

use super::error::{Form, FormError};
use super::name::is_name;

/// One of some words, or `container:<name>`.
fn namespace(text: &str, words: &[&str], what: &str) -> Form<String> {
    if words.contains(&text) || text.strip_prefix("container:").is_some_and(is_name) {
        return Ok(text.to_owned());
    }
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let help = format!("write {} or `container:<name>`", words.join(", "));
    Err(FormError::new(format!("`{text}` is not {what} mode"), help))
}

pub(in crate::manifest) fn pid_mode(text: &str) -> Form<String> {
    namespace(text, &["host"], "a PID")
}

pub(in crate::manifest) fn ipc_mode(text: &str) -> Form<String> {
    namespace(text, &["private", "shareable", "host", "none"], "an IPC")
}

pub(in crate::manifest) fn network_mode(text: &str) -> Form<String> {
    match text {
        "host" | "none" | "bridge" => Ok(text.to_owned()),
        _ if text.strip_prefix("container:").is_some_and(is_name) => Ok(text.to_owned()),
        _ => {
            let help =
                "write `host`, `none`, `bridge` or `container:<name>`; a network of your own goes under `networks`";
            Err(FormError::new(format!("`{text}` is not a network mode"), help))
        }
    }
}
