//! Ports, addresses and host names.

use super::error::{Form, FormError};
use crate::model::{PortBinding, Protocol, ServiceRef, TaskAddress};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(in crate::manifest) fn port(text: &str) -> Form<u16> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(FormError::new(format!("`{text}` is not a port"), "write a number from 1 to 65535")),
    }
}

/// Published ports, kept as a range: a short text may stand for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange {
    protocol: Protocol,
    host_ip: Option<String>,
    host: Option<u16>,
    first: u16,
    last: u16,
}

impl PortRange {
    /// How many ports.
    pub fn count(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// Each port.
    pub fn bindings(&self) -> impl Iterator<Item = PortBinding> {
        (0..=self.last - self.first).map(|offset| PortBinding {
            container_port: self.first + offset,
            protocol: self.protocol,
            host_ip: self.host_ip.clone(),
            host_port: self.host.map(|low| low + offset),
        })
    }
}

pub(in crate::manifest) fn ports(text: &str) -> Form<PortRange> {
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
        Some((_, other)) => return Err(error(&format!(": the protocol `{other}` is not tcp, udp or sctp"))),
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
    Ok(PortRange { protocol, host_ip, host: host.map(|(low, _)| low), first, last })
}

/// `80` or `80-83`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first).ok()?, port(last).ok()?);
    (first <= last && last - first < 1024).then_some((first, last))
}

pub(in crate::manifest) fn host_name(text: &str) -> Form<String> {
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

pub(in crate::manifest) fn extra_host(text: &str) -> Form<String> {
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

pub(in crate::manifest) fn ip(text: &str) -> Form<String> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(FormError::new(format!("`{text}` is not an IP address"), "write `10.0.0.5` or `fd00::5`")),
    }
}

pub(in crate::manifest) fn subnet(text: &str) -> Form<String> {
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

pub(in crate::manifest) fn http_target(text: &str) -> Form<(u16, String)> {
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
pub(in crate::manifest) fn is_http_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(in crate::manifest) fn listen_address(text: &str) -> Form<(String, u16)> {
    let error = || FormError::new(format!("`{text}` is not an address"), "write address and port: `0.0.0.0:50051`");
    let (host, number) = text.trim().rsplit_once(':').ok_or_else(error)?;
    let port = port(number).map_err(|_| error())?;
    if host.is_empty() || host.contains(char::is_whitespace) { Err(error()) } else { Ok((host.to_owned(), port)) }
}

/// `host:port` as clients write it, with `tls://` before it or not, or `unix:` and a path.
pub(in crate::manifest) fn task_address(text: &str) -> Form<TaskAddress> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        // The kernel's `sun_path` has room for 107 bytes.
        if path.starts_with('/') && path.len() <= 107 {
            return Ok(TaskAddress::Unix(path.to_owned()));
        }
        let help = "write `unix:` and an absolute path of at most 107 bytes: `unix:/run/task1.sock`";
        return Err(FormError::new(format!("`{text}` is not the path of a socket"), help));
    }
    let (kind, rest): (fn(String, u16) -> TaskAddress, &str) = match text.strip_prefix("tls://") {
        Some(rest) => (TaskAddress::Tls, rest),
        None => (TaskAddress::Tcp, text),
    };
    let (host, port) = listen_address(rest).map_err(|error| FormError { help: ADDRESS_HELP.to_owned(), ..error })?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    if host_name(bare).is_err() && ip(bare).is_err() {
        return Err(FormError::new(format!("`{host}` is not the name or address of a host"), ADDRESS_HELP));
    }
    Ok(kind(bare.to_owned(), port))
}

const ADDRESS_HELP: &str =
    "write host and port: `task1:50051`, with TLS `tls://task1:50051`, or a socket: `unix:/run/task1.sock`";

/// `deployment/service`, with `:port`.
pub(in crate::manifest) fn service_path(text: &str) -> Form<(ServiceRef, Option<u16>)> {
    let error = || {
        let help = "write `deployment/service`, with `:port` when it publishes several";
        FormError::new(format!("`{text}` does not name a service"), help)
    };
    let (path, number) = match text.trim().split_once(':') {
        Some((path, number)) => (path, Some(port(number)?)),
        None => (text.trim(), None),
    };
    Ok((path.parse().map_err(|_| error())?, number))
}

pub(in crate::manifest) fn registry(text: &str) -> Form<String> {
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
