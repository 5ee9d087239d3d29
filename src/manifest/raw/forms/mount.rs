//! What is mounted into a container, and where.

use super::error::{Form, FormError};
use super::mode::mode;
use super::name::name;
use crate::model::{Mount, parse_size};

pub(in crate::manifest) fn target_path(text: &str) -> Form<String> {
    if !text.starts_with('/') {
        let help = format!("write it from the root: `/{}`", text.trim_start_matches("./"));
        return Err(FormError::new(format!("`{text}` is not an absolute path in the container"), help));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(FormError::new(format!("`{text}` contains `..`"), "write the path without `..`"));
    }
    let clean: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if clean.is_empty() {
        return Err(FormError::new("`/` cannot be mounted over", "name a path below `/`"));
    }
    Ok(format!("/{}", clean.join("/")))
}

pub(in crate::manifest) fn mount(text: &str) -> Form<(String, Mount)> {
    let help = "write `name:/path`, `/host/path:/path`, and `:ro` at the end for read-only";
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        _ => return Err(FormError::new(format!("`{text}` is not a mount"), help)),
    };
    let target = target_path(target)?;
    let (mut read_only, mut propagation) = (false, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "rw" => read_only = false,
            "shared" | "rshared" | "slave" | "rslave" | "private" => propagation = Some(option.to_owned()),
            // Docker's default: the same as none.
            "rprivate" => propagation = None,
            _ => {
                let help = "use `ro`, `rw`, or a propagation (`rshared`, `rslave`, …) for a path of the host";
                return Err(FormError::new(format!("`{option}` is not an option of a mount"), help));
            }
        }
    }
    let mount = bind_or_volume(source, read_only, propagation)?;
    Ok((target, mount))
}

/// A path of the host, or the name of a volume.
pub(in crate::manifest) fn bind_or_volume(source: &str, read_only: bool, propagation: Option<String>) -> Form<Mount> {
    if source.starts_with('/') {
        let source = if source == "/" { source } else { source.trim_end_matches('/') };
        return Ok(Mount::Bind { source: source.to_owned(), read_only, propagation });
    }
    if source.starts_with('.') || source.starts_with('~') || source.contains('/') {
        let help = "name a volume, or an absolute path of the host; a file of the repo goes under `configs`";
        return Err(FormError::new(format!("`{source}` is neither a volume nor an absolute path"), help));
    }
    if propagation.is_some() {
        return Err(FormError::new("a volume has no propagation", "remove the option"));
    }
    Ok(Mount::Volume { name: name(source)?, read_only })
}

pub(in crate::manifest) fn tmpfs(text: &str) -> Form<(String, Mount)> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let target = target_path(path)?;
    let (mut size, mut bits) = (None, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", value)) => size = Some(parse_size(value, 1)?),
            Some(("mode", value)) => bits = Some(mode(value)?),
            _ => {
                return Err(FormError::new(
                    format!("`{option}` is not an option of a tmpfs"),
                    "use `size=64m` and `mode=1777`",
                ));
            }
        }
    }
    Ok((target, Mount::Tmpfs { size, mode: bits }))
}
