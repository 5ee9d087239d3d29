//! The parsers of the units: each says what is wrong and what would be right.

mod image;
mod network;
mod time;

pub(in crate::manifest) use image::{image, tag};
pub(crate) use network::PortRange;
pub(in crate::manifest) use network::{
    extra_host, host_name, http_target, ip, is_http_path, listen_address, network_mode, port, ports, registry,
    service_path, subnet, task_address,
};

pub(in crate::manifest) use time::{instant, timespan};

use super::units::FormError;
use crate::model::{Device, Mount, Restart, parse_size};

type Form<T> = Result<T, FormError>;

pub(in crate::manifest) fn swap(text: &str) -> Form<i64> {
    if matches!(text.trim(), "-1" | "unlimited") {
        return Ok(-1);
    }
    let bytes = parse_size(text, 1 << 20)?;
    i64::try_from(bytes).map_err(|_| FormError::new(format!("`{text}` is too large"), "write a size such as `2G`"))
}

pub(in crate::manifest) fn percent(text: &str) -> Form<u8> {
    match text.trim().trim_end_matches('%').trim_end().parse::<u8>() {
        Ok(share) if share <= 100 => Ok(share),
        _ => Err(FormError::new(format!("`{text}` is not a share"), "write a percentage such as `\"20%\"`")),
    }
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

pub(in crate::manifest) fn device(text: &str) -> Form<Device> {
    let error = || FormError::new(format!("`{text}` is not a device"), "write `/dev/host[:/dev/container[:rwm]]`");
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, permissions) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, container] => (*host, *container, "rwm"),
        [host, container, permissions] => (*host, *container, *permissions),
        _ => return Err(error()),
    };
    let known = !permissions.is_empty() && permissions.chars().all(|letter| "rwm".contains(letter));
    if !host.starts_with('/') || !container.starts_with('/') || !known {
        return Err(error());
    }
    let owned = str::to_owned;
    Ok(Device { host: owned(host), container: owned(container), permissions: owned(permissions) })
}

pub(in crate::manifest) fn restart(text: &str) -> Form<Restart> {
    let error = || {
        let help = "write `no`, `always`, `unless-stopped` or `on-failure:5`";
        FormError::new(format!("`{text}` is not a restart policy"), help)
    };
    match text {
        "no" | "false" => Ok(Restart::No),
        "always" => Ok(Restart::Always),
        "unless-stopped" => Ok(Restart::UnlessStopped),
        "on-failure" => Ok(Restart::OnFailure(0)),
        _ => match text.strip_prefix("on-failure:").map(str::parse) {
            Some(Ok(times)) => Ok(Restart::OnFailure(times)),
            _ => Err(error()),
        },
    }
}

/// Signals by name, as `kill -l` lists them on Linux.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

pub(in crate::manifest) fn signal(text: &str) -> Form<String> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = name.parse::<usize>().ok();
    let real_time =
        name.starts_with("RTMIN") || name.starts_with("RTMAX") || number.is_some_and(|n| (32..=64).contains(&n));
    match number.and_then(|number| SIGNALS.get(number.checked_sub(1)?)) {
        Some(name) => Ok(format!("SIG{name}")),
        None if number.is_some() && real_time => Ok(name.to_owned()),
        None if real_time || SIGNALS.contains(&name) => Ok(format!("SIG{name}")),
        None => Err(FormError::new(format!("`{text}` is not a signal"), "write a name such as `SIGTERM` or `SIGHUP`")),
    }
}

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

pub(in crate::manifest) fn capability(text: &str) -> Form<String> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        return Ok(name.to_owned());
    }
    Err(FormError::new(format!("`{text}` is not a capability"), "write a name such as `NET_ADMIN`, or `ALL`"))
}

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
