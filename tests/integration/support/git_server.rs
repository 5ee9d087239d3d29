//! Git servers on loopback ports: smart HTTP and ssh.

use super::git::run;
use super::process::{Server, find_or_skip, free_port, wait_for_port};
use setpoint::source::{ServerTimeouts, init};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::Duration;

/// Short bounds on servers that do not answer, for the whole test process.
pub(crate) fn short_timeouts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| init(ServerTimeouts { connect: Duration::from_secs(2), silence: Duration::from_secs(3) }));
}

/// A smart HTTP server over the repositories in a folder.
pub(crate) struct HttpServer {
    pub(crate) port: u16,
    _server: Server,
}

impl HttpServer {
    /// `None` when Python is missing. `tls` is a certificate and its key.
    pub(crate) fn start(folder: &Path, password: &str, tls: Option<(&Path, &Path)>) -> Option<Self> {
        short_timeouts();
        let python = find_or_skip("python3")?;
        let port = free_port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/support/git_http.py");
        let mut command = Command::new(python);
        command.arg(script).arg(port.to_string()).arg(folder).arg(password).stderr(Stdio::null());
        match tls {
            Some((certificate, key)) => command.arg(certificate).arg(key),
            None => command.arg("").arg(""),
        };
        let server = Server::start(&mut command);
        wait_for_port(port);
        Some(Self { port, _server: server })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// OpenSSH's server with its own host key and one authorised key.
pub(crate) struct SshServer {
    pub(crate) port: u16,
    pub(crate) user: String,
    folder: PathBuf,
    _server: Server,
}

impl SshServer {
    /// `None` when OpenSSH's programs are missing.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        Self::with_host_keys(folder, &[])
    }

    /// With host keys of further kinds (`ecdsa`, `rsa`), named `host_<kind>`.
    pub(crate) fn with_host_keys(folder: &Path, kinds: &[&str]) -> Option<Self> {
        short_timeouts();
        let sshd = find_or_skip("sshd")?;
        find_or_skip("ssh-keygen")?;
        let user = run(Command::new("id").arg("-un"));
        if user == "root" {
            // Debian makes it with the service; sshd refuses to start without.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        for (name, passphrase) in
            [("host", ""), ("other_host", ""), ("user", ""), ("locked", "open sesame"), ("stranger", "")]
        {
            run(Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f"])
                .arg(folder.join(name)));
        }
        let mut host_keys = format!("HostKey {}/host\n", folder.display());
        for kind in kinds {
            let file = folder.join(format!("host_{kind}"));
            run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-C", kind, "-f"]).arg(&file));
            host_keys += &format!("HostKey {}\n", file.display());
        }
        let authorized = ["user.pub", "locked.pub"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
        std::fs::write(folder.join("authorized_keys"), authorized.concat()).unwrap();
        let port = free_port();
        let shown = folder.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\n{host_keys}AuthorizedKeysFile {shown}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\n"
        );
        std::fs::write(folder.join("sshd_config"), config).unwrap();
        let server = Server::start(
            Command::new(sshd).args(["-D", "-e", "-f"]).arg(folder.join("sshd_config")).stderr(Stdio::null()),
        );
        wait_for_port(port);
        Some(Self { port, user, folder: folder.to_owned(), _server: server })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, path.display())
    }

    /// Writes a known_hosts file that gives the server the public key of this name.
    pub(crate) fn known_hosts(&self, key: &str) -> PathBuf {
        let public = std::fs::read_to_string(self.folder.join(format!("{key}.pub"))).unwrap();
        let file = self.folder.join(format!("known_hosts_{key}"));
        std::fs::write(&file, format!("[127.0.0.1]:{} {public}", self.port)).unwrap();
        file
    }

    /// The fingerprint as OpenSSH prints it.
    pub(crate) fn fingerprint(&self, key: &str) -> String {
        let line = run(Command::new("ssh-keygen").arg("-lf").arg(self.folder.join(format!("{key}.pub"))));
        line.split_whitespace().nth(1).unwrap().to_owned()
    }
}
