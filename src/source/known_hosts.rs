//! Whether an ssh host key is the one the user trusts, by OpenSSH's `known_hosts` format.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What a `known_hosts` file says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostKeyStatus {
    /// The host has this key.
    Known,
    /// The host is not listed, or only with keys of other kinds.
    Unknown,
    /// The host has another key of this kind, on this line.
    Changed(usize),
    /// The key is marked as revoked, on this line.
    Revoked(usize),
}

/// The host as `known_hosts` writes it.
pub(super) fn entry_name(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

/// The kinds of key that are listed for a host, without markers.
pub(super) fn kinds(known_hosts: &str, host: &str, port: u16) -> Vec<String> {
    let name = entry_name(&host.to_ascii_lowercase(), port);
    let mut kinds: Vec<String> = known_hosts
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', '@']))
        .filter_map(|line| line.split_once(char::is_whitespace))
        .filter(|(hosts, _)| matches(hosts, &name))
        .filter_map(|(_, rest)| rest.split_whitespace().next().map(str::to_owned))
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// The kind of a key, from its wire form.
pub(super) fn algorithm(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    let name = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    std::str::from_utf8(name).ok()
}

/// The fingerprint as OpenSSH prints it.
pub(super) fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key)))
}

/// Looks a key up. Lines that cannot be read are passed over, as OpenSSH does; certificate authorities do not count, since
/// the key presented here is a plain one.
pub(super) fn look_up(known_hosts: &str, host: &str, port: u16, key: &[u8]) -> HostKeyStatus {
    let name = entry_name(&host.to_ascii_lowercase(), port);
    let mut verdict = HostKeyStatus::Unknown;
    for (index, line) in known_hosts.lines().enumerate() {
        let mut words = line.split_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@'));
        let (Some(hosts), Some(kind), Some(encoded)) = (words.next(), words.next(), words.next()) else { continue };
        if hosts.starts_with('#') || !matches(hosts, &name) {
            continue;
        }
        let Ok(listed) = STANDARD.decode(encoded) else { continue };
        let same = listed == key;
        match marker {
            // A revocation counts wherever it stands.
            Some("@revoked") if same => return HostKeyStatus::Revoked(index + 1),
            None if same => verdict = HostKeyStatus::Known,
            None if algorithm(key) == Some(kind) && verdict == HostKeyStatus::Unknown => {
                verdict = HostKeyStatus::Changed(index + 1);
            }
            _ => {}
        }
    }
    verdict
}

/// Whether the first field of a line names the host.
fn matches(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return hashed_matches(hashed, name).unwrap_or(false);
    }
    let mut found = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if glob(excluded.to_ascii_lowercase().as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => found |= glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// `salt|hash` of the name, both base64.
fn hashed_matches(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&STANDARD.decode(hash).ok()?).is_ok())
}

/// `*` and `?`, as in a `known_hosts` pattern; linear memory, no recursion.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(wanted), Some(byte)) if *wanted == b'?' || wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, content: u8) -> Vec<u8> {
        let mut key = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
        key.extend(kind.as_bytes());
        key.push(content);
        key
    }

    fn line(hosts: &str, kind: &str, content: u8) -> String {
        format!("{hosts} {kind} {}\n", STANDARD.encode(key(kind, content)))
    }

    #[test]
    fn a_listed_key_is_known_and_others_are_not() {
        let ed = key("ssh-ed25519", 1);
        let file = format!(
            "# comment\nnot a line\n{}{}{}",
            line("example.org,10.0.0.1", "ssh-ed25519", 1),
            line("[example.org]:2222", "ssh-ed25519", 2),
            line("*.internal,!bad.internal", "ssh-ed25519", 1),
        );
        let says = |host: &str, port: u16| look_up(&file, host, port, &ed);
        assert_eq!(says("Example.org", 22), HostKeyStatus::Known);
        assert_eq!(says("10.0.0.1", 22), HostKeyStatus::Known);
        assert_eq!(says("example.org", 2222), HostKeyStatus::Changed(4));
        assert_eq!(says("example.org", 2223), HostKeyStatus::Unknown);
        assert_eq!(says("a.internal", 22), HostKeyStatus::Known);
        assert_eq!(says("bad.internal", 22), HostKeyStatus::Unknown);
        assert_eq!(look_up(&file, "example.org", 22, &key("ssh-rsa", 1)), HostKeyStatus::Unknown);
        assert_eq!(kinds(&file, "example.org", 22), ["ssh-ed25519"]);
        assert!(kinds(&file, "other.org", 22).is_empty());
    }

    #[test]
    fn one_of_several_keys_is_enough_and_a_revoked_one_is_not() {
        let ed = key("ssh-ed25519", 1);
        let two = line("h", "ssh-ed25519", 2) + &line("h", "ssh-ed25519", 1);
        assert_eq!(look_up(&two, "h", 22, &ed), HostKeyStatus::Known);
        let revoked = format!("{two}@revoked {}", line("*", "ssh-ed25519", 1));
        assert_eq!(look_up(&revoked, "h", 22, &ed), HostKeyStatus::Revoked(3));
        assert_eq!(
            look_up(&format!("@cert-authority {}", line("h", "ssh-ed25519", 1)), "h", 22, &ed),
            HostKeyStatus::Unknown
        );
    }

    #[test]
    fn a_hashed_host_is_found() {
        // The form that `ssh-keygen -H` writes; the integration tests use the program itself.
        let salt = STANDARD.encode([7_u8; 20]);
        let mut mac = Hmac::<Sha1>::new_from_slice(&[7_u8; 20]).unwrap();
        mac.update(b"[example.org]:2222");
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        let file = line(&format!("|1|{salt}|{hash}"), "ssh-ed25519", 1);
        assert_eq!(look_up(&file, "example.org", 2222, &key("ssh-ed25519", 1)), HostKeyStatus::Known);
        assert_eq!(look_up(&file, "example.org", 22, &key("ssh-ed25519", 1)), HostKeyStatus::Unknown);
    }

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("?b", "ab", true),
            ("*a*b", "xaxxb", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }
}
