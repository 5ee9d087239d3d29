//! The permission bits of a file.

use super::error::{Form, FormError};

pub(in crate::manifest) fn mode(text: &str) -> Form<u32> {
    let digits = text.trim().trim_start_matches("0o");
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err(FormError::new(
            format!("`{text}` is not a file mode"),
            "write octal permission bits such as `\"0644\"`",
        )),
    }
}
