//! Where a task of a schedule runs.

use super::ServiceRef;
use std::fmt;

/// Where a task runs.
///
/// Two tasks whose targets are equal run at one task server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// At a task server that is reached as it is written.
    Address(TaskAddress),
    /// At the task server that a deployment runs.
    Service(ServiceTarget),
    /// As a program that the daemon's own task runner starts.
    Command(Vec<String>),
}

/// A task server that a deployment runs. Where it is reached is known when it is known where it runs
/// (`schedule::addresses`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceTarget {
    /// Which service.
    pub service: ServiceRef,
    /// The port of its container that it listens at.
    pub port: u16,
    /// Spoken to with mutual TLS: the name that its certificate is for.
    pub tls_name: Option<String>,
}

impl Target {
    /// Whether it is a task server, and not a program of the daemon's own runner.
    pub fn is_server(&self) -> bool {
        !matches!(self, Self::Command(_))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Service(target) => target.service.fmt(f),
            Self::Command(words) => f.pad(&words.join(" ")),
        }
    }
}

/// The address of a task server: `host:port`, `tls://host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskAddress {
    /// Host and port, in plain text.
    Tcp(String, u16),
    /// Host and port, with mutual TLS.
    Tls(String, u16),
    /// A service of ours, with mutual TLS: its port is published at host and port, and its certificate says the name.
    TlsService {
        /// What its certificate is for: the name that it is reached by in its own network.
        name: String,
        /// Where it is published.
        host: String,
        /// The port there.
        port: u16,
    },
    /// Path of a Unix socket.
    Unix(String),
}

impl TaskAddress {
    /// Host and port as a URL has them; `None` for a socket.
    pub fn authority(&self) -> Option<String> {
        let (host, port) = self.place()?;
        Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    }

    /// The host and port to connect to; `None` for a socket.
    pub fn place(&self) -> Option<(&str, u16)> {
        match self {
            Self::Tcp(host, port) | Self::Tls(host, port) | Self::TlsService { host, port, .. } => Some((host, *port)),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for TaskAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.authority().unwrap_or_default();
        f.pad(&match self {
            Self::Tcp(..) => rest,
            Self::Tls(..) => format!("tls://{rest}"),
            Self::TlsService { name, .. } => format!("tls://{rest} ({name})"),
            Self::Unix(path) => format!("unix:{path}"),
        })
    }
}

impl From<TaskAddress> for String {
    fn from(address: TaskAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_it_is_reached() {
        let text = |address: TaskAddress| address.to_string();
        assert_eq!(text(TaskAddress::Tcp("task1".to_owned(), 50051)), "task1:50051");
        assert_eq!(text(TaskAddress::Tls("task1".to_owned(), 50051)), "tls://task1:50051");
        assert_eq!(text(TaskAddress::Tls("::1".to_owned(), 50051)), "tls://[::1]:50051");
        let (name, host) = ("task1".to_owned(), "127.0.0.1".to_owned());
        assert_eq!(text(TaskAddress::TlsService { name, host, port: 50051 }), "tls://127.0.0.1:50051 (task1)");
        assert_eq!(text(TaskAddress::Unix("/run/task1.sock".to_owned())), "unix:/run/task1.sock");
    }
}
