//! A share in percent.

use super::error::{Form, FormError};

pub(in crate::manifest) fn percent(text: &str) -> Form<u8> {
    match text.trim().trim_end_matches('%').trim_end().parse::<u8>() {
        Ok(share) if share <= 100 => Ok(share),
        _ => Err(FormError::new(format!("`{text}` is not a share"), "write a percentage such as `\"20%\"`")),
    }
}
