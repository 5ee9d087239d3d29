//! Image references, by the grammar of the distribution project.

use super::error::{Form, FormError};
use super::network::registry;

/// Checks an image reference by the grammar of the distribution project and completes its tag.
pub(in crate::manifest) fn image(text: &str) -> Form<String> {
    let error = |why: &str| {
        FormError::new(format!("`{text}` is not an image reference: {why}"), "write `[registry/]name[:tag][@sha256:…]`")
    };
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return Err(error("the digest must be `sha256:` and 64 hexadecimal digits"));
        }
    }
    let tag_at = rest.rfind(':').filter(|at| !rest[*at..].contains('/'));
    let (path, tag_part) = match tag_at {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    if let Some(part) = tag_part {
        tag(part).map_err(|_| error(&format!("`{part}` is not a tag")))?;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let has_registry =
        parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost" || has_upper(parts[0]));
    if has_registry && registry(parts[0]).is_err() {
        return Err(error(&format!("`{}` is not a registry address", parts[0])));
    }
    for part in parts.iter().skip(usize::from(has_registry)) {
        if has_upper(part) {
            return Err(error(&format!("`{part}` must be lower case")));
        }
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let inner = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !inner || !edge(part.bytes().next()) || !edge(part.bytes().last()) {
            let why = if part.is_empty() {
                "a part of its name is empty".to_owned()
            } else {
                format!("`{part}` is not allowed in it")
            };
            return Err(error(&why));
        }
    }
    Ok(if tag_part.is_none() && digest.is_none() { format!("{text}:latest") } else { text.to_owned() })
}

fn has_upper(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

pub(in crate::manifest) fn tag(text: &str) -> Form<String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if first && text.len() <= 128 && text.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    Err(FormError::new(format!("`{text}` is not a tag"), "use letters, digits and `_ . -`, at most 128"))
}
