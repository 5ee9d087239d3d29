//! The parsers of the units: each says what is wrong and what would be right.

use super::units::FormError;
use crate::model::{Device, Mount, PortBinding, Protocol, Restart, parse_size};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

type Form<T> = Result<T, FormError>;

pub(super) fn swap(text: &str) -> Form<i64> {
    if matches!(text.trim(), "-1" | "unlimited") {
        return Ok(-1);
    }
    let bytes = parse_size(text, 1 << 20)?;
    i64::try_from(bytes).map_err(|_| FormError::new(format!("`{text}` is too large"), "write a size such as `2G`"))
}

pub(super) fn percent(text: &str) -> Form<u8> {
    match text.trim().trim_end_matches('%').trim_end().parse::<u8>() {
        Ok(share) if share <= 100 => Ok(share),
        _ => Err(FormError::new(format!("`{text}` is not a share"), "write a percentage such as `\"20%\"`")),
    }
}

pub(super) fn port(text: &str) -> Form<u16> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(FormError::new(format!("`{text}` is not a port"), "write a number from 1 to 65535")),
    }
}

pub(super) fn ports(text: &str) -> Form<Vec<PortBinding>> {
    let error = |what: &str| {
        FormError::new(
            format!("`{text}` is not a port mapping{what}"),
            "write `\"8080:80\"`, `\"127.0.0.1:8080:80/udp\"` or `\"8000-8003:80-83\"`",
        )
    };
    let (rest, protocol) = match text.trim().split_once('/') {
        Some((rest, "tcp")) => (rest, Protocol::Tcp),
        Some((rest, "udp")) => (rest, Protocol::Udp),
        Some((rest, "sctp")) => (rest, Protocol::Sctp),
        Some((_, other)) => return Err(error(&format!(": the protocol `{other}` is none of tcp, udp, sctp"))),
        None => (text.trim(), Protocol::Tcp),
    };
    let (address, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((address, rest)) => (Some(address), rest),
        None if rest.matches(':').count() == 2 => {
            let (address, rest) = rest.split_once(':').unwrap_or((rest, ""));
            (Some(address), rest)
        }
        None => (None, rest),
    };
    let host_ip = match address {
        None => None,
        Some(address) => {
            let parsed: IpAddr = address.parse().map_err(|_| error(&format!(": `{address}` is not an IP address")))?;
            // Every address is what an absent one means, and what Docker reports it as.
            (parsed != IpAddr::V4(Ipv4Addr::UNSPECIFIED)).then(|| parsed.to_string())
        }
    };
    let (host, container) = match rest.split_once(':') {
        Some(("", container)) => (None, container),
        Some((host, container)) => (Some(range(host).ok_or_else(|| error(""))?), container),
        None => (None, rest),
    };
    let (first, last) = range(container).ok_or_else(|| error(""))?;
    if let Some((low, high)) = host
        && high - low != last - first
    {
        return Err(error(": the two ranges differ in length"));
    }
    let binding = |offset: u16| PortBinding {
        container_port: first + offset,
        protocol,
        host_ip: host_ip.clone(),
        host_port: host.map(|(low, _)| low + offset),
    };
    Ok((0..=last - first).map(binding).collect())
}

/// `80` or `80-83`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first).ok()?, port(last).ok()?);
    (first <= last && last - first < 1024).then_some((first, last))
}

pub(super) fn limit(text: &str) -> Form<i64> {
    match text.trim() {
        "unlimited" | "-1" => Ok(-1),
        number => match number.parse::<i64>() {
            Ok(limit) if limit >= 0 => Ok(limit),
            _ => Err(FormError::new(format!("`{text}` is not a limit"), "write a number, or `unlimited`")),
        },
    }
}

pub(super) fn memlock(text: &str) -> Form<i64> {
    if matches!(text.trim(), "-1" | "unlimited") {
        return Ok(-1);
    }
    let bytes = parse_size(text, 1)?;
    i64::try_from(bytes).map_err(|_| FormError::new(format!("`{text}` is too large"), "write a size such as `64MiB`"))
}

pub(super) fn mode(text: &str) -> Form<u32> {
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
pub fn is_name(text: &str) -> bool {
    text.len() <= 128
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

pub(super) fn name(text: &str) -> Form<String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    let help = "use letters, digits and `_ . -`, start with a letter or digit, and stay within 128 characters";
    Err(FormError::new(format!("`{text}` is not a name"), help))
}

pub(super) fn host_name(text: &str) -> Form<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            && !label.starts_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Ok(text.to_owned());
    }
    let help = "use letters, digits, `-` and `_`, with dots between the parts";
    Err(FormError::new(format!("`{text}` is not a host name"), help))
}

/// Checks an image reference by the grammar of the distribution project and completes its tag.
pub fn image(text: &str) -> Form<String> {
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
                format!("`{part}` cannot stand in it")
            };
            return Err(error(&why));
        }
    }
    Ok(if tag_part.is_none() && digest.is_none() { format!("{text}:latest") } else { text.to_owned() })
}

fn has_upper(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

pub(super) fn tag(text: &str) -> Form<String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if first && text.len() <= 128 && text.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    Err(FormError::new(format!("`{text}` is not a tag"), "use letters, digits and `_ . -`, at most 128"))
}

pub(super) fn target_path(text: &str) -> Form<String> {
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

pub(super) fn mount(text: &str) -> Form<(String, Mount)> {
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
pub fn bind_or_volume(source: &str, read_only: bool, propagation: Option<String>) -> Form<Mount> {
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

pub(super) fn tmpfs(text: &str) -> Form<(String, Mount)> {
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

pub(super) fn device(text: &str) -> Form<Device> {
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

pub(super) fn restart(text: &str) -> Form<Restart> {
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

pub(super) fn signal(text: &str) -> Form<String> {
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

pub(super) fn cpuset(text: &str) -> Form<String> {
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

pub(super) fn capability(text: &str) -> Form<String> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        return Ok(name.to_owned());
    }
    Err(FormError::new(format!("`{text}` is not a capability"), "write a name such as `NET_ADMIN`, or `ALL`"))
}

pub(super) fn extra_host(text: &str) -> Form<String> {
    let error = || {
        FormError::new(format!("`{text}` is not a host line"), "write `name:address`, for example `\"db:10.0.0.5\"`")
    };
    let at = text.find([':', '=']).ok_or_else(error)?;
    let (host, address) = (text[..at].trim(), text[at + 1..].trim());
    host_name(host)?;
    if address != "host-gateway" {
        address.trim_matches(['[', ']']).parse::<IpAddr>().map_err(|_| error())?;
    }
    Ok(format!("{host}:{address}"))
}

pub(super) fn ip(text: &str) -> Form<String> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(FormError::new(format!("`{text}` is not an IP address"), "write `10.0.0.5` or `fd00::5`")),
    }
}

pub(super) fn subnet(text: &str) -> Form<String> {
    let error =
        || FormError::new(format!("`{text}` is not a subnet"), "write address and prefix length: `10.5.0.0/24`");
    let (address, length) = text.trim().split_once('/').ok_or_else(error)?;
    let (address, length): (IpAddr, u32) =
        (address.parse().map_err(|_| error())?, length.parse().map_err(|_| error())?);
    let network = match address {
        IpAddr::V4(v4) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
        _ => return Err(error()),
    };
    if network != address {
        let help = format!("write the network's own address: `{network}/{length}`");
        return Err(FormError::new(format!("`{text}` has bits outside its prefix"), help));
    }
    Ok(format!("{network}/{length}"))
}

pub(super) fn network_mode(text: &str) -> Form<String> {
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

pub(super) fn http_target(text: &str) -> Form<(u16, String)> {
    let error = || FormError::new(format!("`{text}` is not an HTTP check"), "write port and path: `\":8080/health\"`");
    let rest = text.trim();
    let rest = rest.strip_prefix("http://localhost").or_else(|| rest.strip_prefix("http://127.0.0.1")).unwrap_or(rest);
    let rest = rest.trim_start_matches(':');
    let (number, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    match port(number) {
        Ok(port) if is_http_path(path) => Ok((port, path.to_owned())),
        _ => Err(error()),
    }
}

/// Whether a text can stand in the first line of an HTTP request.
pub fn is_http_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn listen_address(text: &str) -> Form<(String, u16)> {
    let error = || FormError::new(format!("`{text}` is not an address"), "write address and port: `0.0.0.0:50051`");
    let (host, number) = text.trim().rsplit_once(':').ok_or_else(error)?;
    let port = port(number).map_err(|_| error())?;
    if host.is_empty() || host.contains(char::is_whitespace) { Err(error()) } else { Ok((host.to_owned(), port)) }
}

pub(super) fn registry(text: &str) -> Form<String> {
    let rest = text.trim();
    let rest = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://")).unwrap_or(rest);
    let rest = rest.trim_end_matches('/');
    let (host, number) = match rest.rsplit_once(':') {
        Some((host, number)) => (host, Some(number)),
        None => (rest, None),
    };
    if host_name(host).is_ok() && number.is_none_or(|number| port(number).is_ok()) {
        return Ok(rest.to_owned());
    }
    let help = "write host and port: `registry.example.org` or `localhost:5000`";
    Err(FormError::new(format!("`{text}` is not the address of a registry"), help))
}
