//! Limits that may be none: swap, locked memory, and those of the kernel.

use super::error::{Form, FormError};
use crate::model::parse_size;

pub(in crate::manifest) fn swap(text: &str) -> Form<i64> {
    if matches!(text.trim(), "-1" | "unlimited") {
        return Ok(-1);
    }
    let bytes = parse_size(text, 1 << 20)?;
    i64::try_from(bytes).map_err(|_| FormError::new(format!("`{text}` is too large"), "write a size such as `2G`"))
}

pub(in crate::manifest) fn limit(text: &str) -> Form<i64> {
    match text.trim() {
        "unlimited" | "-1" => Ok(-1),
        number => match number.parse::<i64>() {
            Ok(limit) if limit >= 0 => Ok(limit),
            _ => Err(FormError::new(format!("`{text}` is not a limit"), "write a number, or `unlimited`")),
        },
    }
}

pub(in crate::manifest) fn memlock(text: &str) -> Form<i64> {
    if matches!(text.trim(), "-1" | "unlimited") {
        return Ok(-1);
    }
    let bytes = parse_size(text, 1)?;
    i64::try_from(bytes).map_err(|_| FormError::new(format!("`{text}` is too large"), "write a size such as `64MiB`"))
}
