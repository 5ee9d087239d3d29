//! Linux capabilities.

use super::error::{Form, FormError};

pub(in crate::manifest) fn capability(text: &str) -> Form<String> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        return Ok(name.to_owned());
    }
    Err(FormError::new(format!("`{text}` is not a capability"), "write a name such as `NET_ADMIN`, or `ALL`"))
}
