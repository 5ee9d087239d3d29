//! Names as ids, containers, networks and volumes have them.

use super::error::{Form, FormError};

/// Whether this is a name as ids, containers, networks and volumes have it.
pub(in crate::manifest) fn is_name(text: &str) -> bool {
    text.len() <= 128
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

pub(in crate::manifest) fn name(text: &str) -> Form<String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    let help = "use letters, digits and `_ . -`, start with a letter or digit, and stay within 128 characters";
    Err(FormError::new(format!("`{text}` is not a name"), help))
}
