//! What a daemon says on standard error when the machine or the server is in its way. None of it needs an engine.

use crate::support::git::Repo;
use crate::support::process::{find_or_skip, root_or_skip};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A daemon of the real program, ended with the test, and its log.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it with these settings; `before` comes before the program, and ends by becoming it.
    fn start(folder: &Path, settings: &str, before: &[&str]) -> Self {
        let (file, log) = (folder.join("daemon.kdl"), folder.join("log"));
        let state = folder.join("state");
        std::fs::create_dir_all(&state).unwrap();
        let mut text = settings.to_owned();
        write!(text, "\nstate-dir \"{}\"\nlog level=\"setpoint=debug,info\"\n", state.display()).unwrap();
        std::fs::write(&file, text).unwrap();
        let program = assert_cmd::cargo::cargo_bin("setpoint");
        let words = before.iter().map(std::ffi::OsStr::new).chain([program.as_os_str()]);
        let words: Vec<_> = words.collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["daemon", "--config"]).arg(file);
        command.env("SETPOINT_ENGINE", "unix:///nonexistent/docker.sock").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stderr(File::create(&log).unwrap());
        Self { child: command.spawn().unwrap(), log }
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.log).unwrap().lines().map(str::to_owned).collect()
    }

    /// The lines with all of these words.
    fn said(&self, words: &[&str]) -> Vec<String> {
        self.lines().into_iter().filter(|line| words.iter().all(|word| line.contains(word))).collect()
    }

    /// The first line with all of these words, when it comes.
    fn says(&mut self, words: &[&str]) -> String {
        let begin = Instant::now();
        loop {
            if let Some(line) = self.said(words).into_iter().next() {
                return line;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                begin.elapsed() < Duration::from_secs(30) && ended.is_none(),
                "{words:?} ({ended:?}):\n{}",
                self.lines().join("\n")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How this process sees its state folder, whatever it has mounted there.
    fn state(&self, folder: &Path) -> PathBuf {
        let state = folder.join("state");
        PathBuf::from(format!("/proc/{}/root", self.child.id())).join(state.strip_prefix("/").unwrap())
    }
}

#[test]
fn a_first_start_that_cannot_read_the_repo_does_not_speak_of_a_commit_that_is_kept() {
    let repo = Repo::with_files();
    let mut daemon = Running::start(repo.folder.path(), "repo \"https://127.0.0.1:1/a.git\"", &[]);
    let line = daemon.says(&["WARN", "the repo cannot be read"]);
    assert!(line.contains("kept=\"none yet\"") && line.contains("cannot reach https://127.0.0.1:1"), "{line}");
}

#[test]
fn a_full_disk_is_told_once_with_the_remedy_and_so_is_the_commit_that_waits_for_it() {
    let (true, Some(_)) = (root_or_skip(), find_or_skip("unshare")) else { return };
    let repo = Repo::empty();
    let folder = repo.folder.path();
    let deployment = "deployment: {name: shop, services: [{id: web, image: \"web:1\"}]}\n";
    repo.write("deployments/shop.yaml", deployment);
    let first = repo.commit("first");
    // A small file system in a namespace of the daemon's own goes with it.
    let small = format!("mount -t tmpfs -o size=2m none {}/state && exec \"$@\"", folder.display());
    let before = ["unshare", "--mount", "sh", "-c", &small, "sh"];
    let settings = format!("repo \"{}\" branch=\"main\" {{\n    poll \"200ms\"\n}}", repo.work().display());
    let mut daemon = Running::start(folder, &settings, &before);
    daemon.says(&["new commit", &first[..7]]);
    daemon.says(&["WARN", "the engine does not answer"]);
    let filler = daemon.state(folder).join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    repo.write("deployments/shop.yaml", &deployment.replace("web:1", "web:2"));
    let second = repo.commit("second");
    let short = &second[..7];
    let told = daemon.says(&["ERROR", "is full"]);
    assert!(told.contains("Free space there") && told.contains("nothing is changed"), "{told}");
    assert_eq!(daemon.said(&["new commit", short]).len(), 1, "{:#?}", daemon.lines());
    let begin = Instant::now();
    while daemon.said(&["DEBUG", "reconcile failed again", "is full"]).len() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(30), "{:#?}", daemon.lines());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(daemon.said(&["ERROR", "is full"]).len(), 1, "{:#?}", daemon.lines());
    let away = ["reconcile failed again", "the engine does not answer"];
    let before = daemon.said(&away).len();
    drop(file);
    std::fs::remove_file(filler).unwrap();
    while daemon.said(&away).len() == before {
        assert!(begin.elapsed() < Duration::from_secs(60), "{:#?}", daemon.lines());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(daemon.said(&["new commit", short]).len(), 1, "{:#?}", daemon.lines());
}
