//! An engine of the tests' own: a process with namespaces of its own, which ends with this one however this one ends.

use rustix::thread::LinkNameSpaceType;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long an engine may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Begins the names of folders and of cgroups.
const PREFIX: &str = "setpoint-test-";

pub struct Own {
    pub socket: PathBuf,
    /// Its network namespace.
    net: File,
    /// Held locked as long as this process lives: a folder with a free lock is a leftover.
    _lock: File,
}

impl Own {
    /// Starts an engine by its script, with these files in its folder, and waits until it answers.
    pub fn start(name: &str, files: &[(&str, &str)]) -> Self {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engines");
        remove_leftovers(&all);
        let cgroup = format!("{PREFIX}{name}-{}", std::process::id());
        let folder = all.join(&cgroup);
        std::fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/docker/engine/{name}.sh"));
        let log = folder.join("log");
        let output = File::create(&log).unwrap();
        let mut command = Command::new("setpriv");
        // The first process of the namespace dies with this one, and everything in the namespace with it.
        command.args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]);
        command.arg("--net").arg(script).arg(&folder).arg(&cgroup);
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = keep(command);
        let socket = folder.join("engine.sock");
        let net = wait(name, &socket, &log, child);
        Self { socket, net, _lock: lock }
    }

    /// Brings this thread, and what it starts, to the engine's network: addresses and ports of containers are there.
    pub fn enter(&self) {
        rustix::thread::move_into_link_name_space(self.net.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }
}

/// Starts the process from a thread that never ends, because its end is reported to the thread that started it.
fn keep(mut command: Command) -> Child {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        sender.send(command.spawn()).unwrap();
        loop {
            std::thread::park();
        }
    });
    receiver.recv().unwrap().expect("setpriv is installed")
}

/// Waits for the first answer; the network namespace that the engine is in.
fn wait(name: &str, socket: &Path, log: &Path, mut child: Child) -> File {
    let began = Instant::now();
    while !answers(socket) {
        let ended = child.try_wait().unwrap();
        if ended.is_some() || began.elapsed() > PATIENCE {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(20).collect();
            let why = ended.map_or("does not answer".to_owned(), |status| format!("ended with {status}"));
            panic!("{name} {why}; it needs root. It said, last first:\n{}", last.join("\n"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    File::open(format!("/proc/{}/ns/net", child.id())).unwrap()
}

fn answers(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let asked = stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n");
    let _ = asked.and_then(|()| stream.read_to_string(&mut answer));
    answer.contains(" 200 OK")
}

/// Removes folders and cgroups of engines whose test binary is gone. Their processes and mounts went with it.
fn remove_leftovers(all: &Path) {
    for entry in std::fs::read_dir(all).into_iter().flatten().flatten() {
        let free = File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if !free {
            continue;
        }
        let name = entry.file_name();
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        for cgroup in hierarchies.map(|one| one.path().join(&name)).chain([Path::new("/sys/fs/cgroup").join(&name)]) {
            remove_cgroup(&cgroup);
        }
        std::fs::remove_dir_all(entry.path()).unwrap();
    }
}

/// Removes a cgroup without processes, with those in it.
fn remove_cgroup(cgroup: &Path) {
    for entry in std::fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(cgroup);
}
