//! CPUs by number.

use super::error::{Form, FormError};

pub(in crate::manifest) fn cpuset(text: &str) -> Form<String> {
    let part = |part: &str| -> Option<()> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last && last < 8192).then_some(())
    };
    if text.split(',').all(|item| part(item).is_some()) {
        return Ok(text.chars().filter(|letter| !letter.is_whitespace()).collect());
    }
    Err(FormError::new(format!("`{text}` is not a set of CPUs"), "write CPU numbers and ranges such as `\"0-2,4\"`"))
}
