//! Where a repository is. A secret inside the address leaves it while it is parsed.

use super::SourceError;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A repository address, free of secrets: what [`fmt::Display`] shows may be logged.
///
/// Forms: a path, `file://`, `http(s)://`, `ssh://` and `user@host:path`.
#[derive(Clone)]
pub struct Address {
    pub(super) place: Place,
    pub(super) inline: Inline,
}

/// The address without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A path on this machine.
    Local(PathBuf),
    /// A repository behind http or https; the URL carries no user.
    Http { url: String, host: String, port: u16, encrypted: bool },
    /// A repository behind ssh, as `ssh://` or `user@host:path`.
    Ssh { url: String, host: String, port: u16 },
}

/// What stood between `://` and `@`. A password there is refused: every user of the machine sees it in the list of processes.
#[derive(Clone, Default)]
pub(super) struct Inline {
    /// May be a token by mistake (`https://TOKEN@host`), so it is never shown for http, and never used as one.
    pub user: Option<SecretString>,
}

impl Address {
    /// The path of a repository on this machine.
    pub fn local(&self) -> Option<&Path> {
        match &self.place {
            Place::Local(path) => Some(path),
            Place::Http { .. } | Place::Ssh { .. } => None,
        }
    }

    /// The address of a repository on this machine.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::Local(path.into()), inline: Inline::default() }
    }
}

impl FromStr for Address {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(invalid("", "it is empty; give a path or an address such as ssh://git@host/repo.git"));
        }
        match text.split_once("://") {
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "file" => file(rest),
                "http" => http(rest, false),
                "https" => http(rest, true),
                "ssh" | "git+ssh" | "ssh+git" => ssh(rest),
                "git" => {
                    Err(invalid("git://", "the git protocol is neither encrypted nor authenticated; use https or ssh"))
                }
                _ => Err(invalid(
                    &format!("{}://", scheme.chars().take(20).collect::<String>()),
                    "unknown scheme; use a path, file://, https:// or ssh://",
                )),
            },
            None => match text.split_once(':') {
                Some((host, path)) if !host.contains('/') => scp(host, path),
                _ => Ok(Self::from_path(text)),
            },
        }
    }
}

fn invalid(shown: &str, problem: &str) -> SourceError {
    SourceError::Address { address: shown.to_owned(), problem: problem.to_owned() }
}

fn file(rest: &str) -> Result<Address, SourceError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(invalid(&format!("file://{rest}"), "a file address has no host; write file:///absolute/path"));
    }
    Ok(Address::from_path(percent_decode_str(path).decode_utf8_lossy().into_owned()))
}

fn http(rest: &str, encrypted: bool) -> Result<Address, SourceError> {
    let scheme = if encrypted { "https" } else { "http" };
    let (inline, authority, path) = split(rest, scheme)?;
    let (host, port) =
        host_port(authority).ok_or_else(|| invalid(&format!("{scheme}://"), "the host or port is not valid"))?;
    if path.is_empty() {
        return Err(invalid(&format!("{scheme}://{authority}"), "the path of the repository is missing"));
    }
    // A query may carry a token, and no git server needs one here.
    if path.contains(['?', '#']) {
        return Err(invalid(&format!("{scheme}://{authority}"), "a repository address has no ?query and no #fragment"));
    }
    let shown = port.map(|port| format!(":{port}")).unwrap_or_default();
    let port = port.unwrap_or(if encrypted { 443 } else { 80 });
    let place = Place::Http { url: format!("{scheme}://{host}{shown}{path}"), host: bare(&host), port, encrypted };
    Ok(Address { place, inline })
}

fn ssh(rest: &str) -> Result<Address, SourceError> {
    let (inline, authority, path) = split(rest, "ssh")?;
    let (host, port) = host_port(authority).ok_or_else(|| invalid("ssh://", "the host or port is not valid"))?;
    if path.len() < 2 {
        return Err(invalid(&format!("ssh://{authority}"), "the path of the repository is missing"));
    }
    let user = user_of(&inline);
    let shown = port.map(|port| format!(":{port}")).unwrap_or_default();
    let place =
        Place::Ssh { url: format!("ssh://{user}@{host}{shown}{path}"), host: bare(&host), port: port.unwrap_or(22) };
    Ok(Address { place, inline })
}

fn scp(host: &str, path: &str) -> Result<Address, SourceError> {
    let (user, host) = host.rsplit_once('@').unwrap_or(("git", host));
    // `git:secret@host:path` does not arrive here: its first colon stands before the @.
    if path.contains('@') && path.split_once('@').is_some_and(|(before, _)| !before.contains('/')) {
        return Err(invalid("user:…@host:path", "an address of this form has no password; use ssh:// with a key"));
    }
    if host.is_empty() || user.is_empty() || path.is_empty() || host.starts_with('-') {
        return Err(invalid(&format!("{host}:{path}"), "write it as user@host:path"));
    }
    let place = Place::Ssh { url: format!("{user}@{host}:{path}"), host: host.to_owned(), port: 22 };
    Ok(Address { place, inline: Inline { user: Some(user.to_owned().into()) } })
}

/// Splits `user@host:port/path`.
fn split<'a>(rest: &'a str, scheme: &str) -> Result<(Inline, &'a str, &'a str), SourceError> {
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let Some((info, host)) = authority.rsplit_once('@') else { return Ok((Inline::default(), authority, path)) };
    if info.contains(':') {
        let shown = match scheme {
            "ssh" => "ssh://USER:***@…",
            "http" => "http://USER:***@…",
            _ => "https://USER:***@…",
        };
        return Err(invalid(shown, IN_ADDRESS));
    }
    let user = SecretString::from(percent_decode_str(info).decode_utf8_lossy().into_owned());
    Ok((Inline { user: Some(user) }, host, path))
}

/// Why an address with a password is refused, and what to do.
const IN_ADDRESS: &str = "it holds a password, which the list of processes and shell histories show to others; leave it out, and \
    put the token into the variable SETPOINT_GIT_TOKEN, or name a variable or file in daemon.kdl (`https token-env=…`, \
    `token-file=…`), or use ssh with a key";

/// Host (an IPv6 address keeps its brackets) and port.
fn host_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse::<u16>().ok()?)),
        _ => (authority, None),
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':' | '%');
    let fine = !host.is_empty() && !host.starts_with('-') && host.chars().all(valid);
    fine.then(|| (host.to_ascii_lowercase(), port))
}

fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

fn user_of(inline: &Inline) -> String {
    use secrecy::ExposeSecret;
    inline.user.as_ref().map(ExposeSecret::expose_secret).filter(|user| !user.is_empty()).unwrap_or("git").to_owned()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Local(path) => write!(f, "{}", path.display()),
            Place::Http { url, .. } | Place::Ssh { url, .. } => f.write_str(url),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn shown(text: &str) -> String {
        match text.parse::<Address>() {
            Ok(address) => address.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn every_form_is_understood() {
        assert_eq!(shown("/srv/infra.git"), "/srv/infra.git");
        assert_eq!(shown("./a:b"), "./a:b");
        assert_eq!(shown("file:///srv/in%20fra"), "/srv/in fra");
        assert_eq!(shown("https://Git.example.org/a/b.git"), "https://git.example.org/a/b.git");
        assert_eq!(shown("ssh://example.org:2222/a"), "ssh://git@example.org:2222/a");
        assert_eq!(shown("deploy@example.org:infra.git"), "deploy@example.org:infra.git");
        assert_eq!(shown("ssh://git@[::1]:22/a"), "ssh://git@[::1]:22/a");
        let Place::Ssh { host, port, .. } = "ssh://git@[::1]/a".parse::<Address>().unwrap().place else { panic!() };
        assert_eq!((host.as_str(), port), ("::1", 22));
    }

    #[test]
    fn secrets_leave_the_address() {
        for text in [
            "https://hunter2@example.org/a.git",
            "https://bob:hunter2@example.org/a.git",
            "http://bob:hunter2@example.org:8080/a.git",
            "ssh://git:hunter2@example.org/a.git",
            "https://example.org/a.git?private_token=hunter2",
            "https://bob:hunter2@example.org",
            "https://bob:hunter2@exa mple/a",
            "ssh://git:hunter2@:/a",
            "git://bob:hunter2@example.org/a",
            "bob:hunter2@example.org:a.git",
            "weird://bob:hunter2@example.org/a",
        ] {
            let parsed = text.parse::<Address>();
            let all = format!("{} {parsed:?}", shown(text));
            assert!(!all.contains("hunter2"), "{text}: {all}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused() {
        for text in [
            "https://bob:hunter2@example.org/a.git",
            "http://bob:hunter2@example.org/a.git",
            "ssh://git:hunter2@example.org/a.git",
            "https://:hunter2@example.org/a.git",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("holds a password") && error.contains("token-file"), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
        let address: Address = "https://b%40b@example.org/a".parse().unwrap();
        assert_eq!(address.inline.user.unwrap().expose_secret(), "b@b");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "git://example.org/a",
            "ftp://example.org/a",
            "file://host/a",
            "https://",
            "https://h:99999/a",
            "@h:p",
            "ssh://-oProxyCommand=x/a",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
