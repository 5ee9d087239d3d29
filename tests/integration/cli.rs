//! The command line without an engine: help, exit codes, what goes where, the hooks.

use assert_cmd::cargo::cargo_bin;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A config repo in a temporary folder, and a state folder beside it.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

const SHOP: &str = "deployment:
  name: shop
  services:
    - id: db
      image: postgres:17
    - id: api
      image: api:1.4
      depends_on: {db: healthy}
      env: {LOG_LEVEL: info}
";

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.repo().join("deployments")).unwrap();
        bench.git(&["init", "--quiet", "-b", "main"]);
        bench.write(SHOP);
        bench.commit("first");
        bench
    }

    pub(crate) fn repo(&self) -> std::path::PathBuf {
        self.dir.path().join("repo")
    }

    fn write(&self, text: &str) {
        fs::write(self.repo().join("deployments/shop.yaml"), text).unwrap();
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
    }

    fn git(&self, arguments: &[&str]) -> Output {
        let output = self.isolated("git").args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// A command in the repo that sees nothing of this machine's settings, and the program in PATH.
    pub(crate) fn isolated(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let program_folder = cargo_bin("setpoint").parent().unwrap().to_owned();
        let mut command = Command::new(program);
        command
            .current_dir(self.repo())
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", program_folder.display()))
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
            .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
            .envs([("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z"), ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")])
            .env("SETPOINT_STATE_DIR", self.dir.path().join("state"))
            .env("SETPOINT_ENGINE", "unix:///nonexistent/docker.sock");
        command
    }

    pub(crate) fn setpoint(&self, arguments: &[&str]) -> Run {
        Run::of(&self.isolated(cargo_bin("setpoint")).args(arguments).output().unwrap())
    }
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}

#[test]
fn help_texts_are_what_people_read() {
    let bench = Bench::new();
    let top = bench.setpoint(&["--help"]);
    assert_eq!(top.code, Some(0));
    let commands = top.out.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What a description wraps to stands further in.
    let commands = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 20, "{names:?}");
    let mut all = top.out.clone();
    for name in names {
        let help = bench.setpoint(&[name, "--help"]);
        assert_eq!(help.code, Some(0), "{name}");
        all.push_str(&format!("\n==== setpoint {name}\n{}", help.out));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn wrong_usage_is_64_and_never_2() {
    let bench = Bench::new();
    for arguments in [&["plann"][..], &["plan", "--no-such"], &["apply", "--allow", "everything"], &["why", "shop"]] {
        let run = bench.setpoint(arguments);
        assert_eq!(run.code, Some(64), "{arguments:?}: {run:?}");
        assert!(run.out.is_empty() && !run.err.is_empty(), "{run:?}");
    }
}

#[test]
fn without_an_engine_a_plan_fails_and_says_what_to_do() {
    let run = Bench::new().setpoint(&["plan", "--detailed-exitcode"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("cannot reach the Docker engine at unix:///nonexistent/docker.sock"), "{}", run.err);
    assert!(run.err.contains("setpoint doctor"), "{}", run.err);
}

#[test]
fn validate_reads_the_folder_a_commit_or_the_index() {
    let bench = Bench::new();
    bench.write(&SHOP.replace("db: healthy", "databse: healthy"));
    let folder = bench.setpoint(&["validate"]);
    assert_eq!(folder.code, Some(1));
    insta::assert_snapshot!(folder.err);
    assert_eq!(bench.setpoint(&["validate", "--rev", "HEAD"]).code, Some(0), "the commit is valid");
    assert_eq!(bench.setpoint(&["validate", "--staged"]).code, Some(0), "nothing is staged yet");
    bench.git(&["add", "--all"]);
    let staged = bench.setpoint(&["validate", "--staged", "--json"]);
    assert_eq!(staged.code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&staged.out).unwrap();
    let mistake = &report["mistakes"][0];
    assert_eq!(mistake["file"], "deployments/shop.yaml", "{report}");
    assert_eq!((&mistake["line"], &mistake["column"]), (&8.into(), &20.into()), "{report}");
}

#[test]
fn a_diff_needs_no_engine() {
    let bench = Bench::new();
    bench.write(&SHOP.replace("api:1.4", "api:1.5").replace("info", "debug"));
    bench.commit("api 1.5");
    let run = bench.setpoint(&["diff", "HEAD~1"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for token in ["tok-1", "tok-2"] {
        bench.write(
            &SHOP.replace("{LOG_LEVEL: info}", &format!("\n        LOG_LEVEL: info\n        API_TOKEN: {token}")),
        );
        bench.commit("a secret");
    }
    let secret = bench.setpoint(&["diff", "HEAD~1"]);
    assert!(secret.out.contains("API_TOKEN: ‹hidden›") && !secret.out.contains("tok-"), "{}", secret.out);
    insta::with_settings!({filters => vec![("[0-9a-f]{7} «", "COMMIT «"), ("plan [0-9a-f]{8,}", "plan ID"), ("@[0-9a-f]{12}", "@IMAGE")]}, {
        insta::assert_snapshot!(run.out);
    });
}

#[test]
fn the_pre_commit_hook_refuses_what_does_not_validate() {
    let bench = Bench::new();
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/pre-commit");
    fs::copy(hook, bench.repo().join(".git/hooks/pre-commit")).unwrap();
    bench.write("deployment: {name: shop, servces: []}\n");
    bench.git(&["add", "--all"]);
    let refused = Run::of(&bench.isolated("git").args(["commit", "-m", "broken"]).output().unwrap());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("deployments/shop.yaml:1:"), "{}", refused.err);
    bench.write(SHOP);
    bench.git(&["add", "--all"]);
    bench.git(&["commit", "--quiet", "--allow-empty", "-m", "mended"]);
}

#[test]
fn the_pre_push_hook_refuses_what_does_not_validate_and_lives_without_an_engine() {
    let bench = Bench::new();
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/pre-push");
    fs::copy(hook, bench.repo().join(".git/hooks/pre-push")).unwrap();
    let remote = bench.dir.path().join("remote.git");
    bench.git(&["init", "--quiet", "--bare", &remote.display().to_string()]);
    bench.git(&["remote", "add", "origin", &remote.display().to_string()]);
    bench.git(&["push", "--quiet", "origin", "main"]);
    bench.write("deployment: {name: shop, servces: []}\n");
    bench.commit("broken");
    let refused = Run::of(&bench.isolated("git").args(["push", "origin", "main"]).output().unwrap());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    bench.git(&["push", "--quiet", "origin", "main:topic"]);
}

#[test]
fn schemas_completions_and_manuals_are_printed() {
    let bench = Bench::new();
    for kind in ["deployment", "builder", "settings", "daemon"] {
        let run = bench.setpoint(&["schema", kind]);
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{kind}.schema.json"));
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&run.out), parse(&fs::read_to_string(committed).unwrap()), "{kind}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.setpoint(&["completions", shell]).out.contains("setpoint"), "{shell}");
    }
    let folder = bench.dir.path().join("man");
    assert_eq!(bench.setpoint(&["man", &folder.display().to_string()]).code, Some(0));
    assert!(fs::read_to_string(folder.join("setpoint-plan.1")).unwrap().contains("detailed"));
}

#[test]
fn an_engine_behind_tls_ssh_or_a_context_is_refused_with_the_way_round() {
    let bench = Bench::new();
    let plan = |variable: (&str, &str), engine: &str| {
        let mut command = bench.isolated(cargo_bin("setpoint"));
        command.arg("plan").env("SETPOINT_ENGINE", engine).env(variable.0, variable.1);
        if engine.is_empty() {
            command.env_remove("SETPOINT_ENGINE");
        }
        let run = Run::of(&command.output().unwrap());
        assert_eq!(run.code, Some(1), "{run:?}");
        run.err
    };
    let tls = plan(("DOCKER_TLS_VERIFY", "1"), "tcp://127.0.0.1:2376");
    assert!(tls.contains("DOCKER_TLS_VERIFY") && tls.contains("ssh -nNT -L"), "{tls}");
    let ssh = plan(("A", "b"), "ssh://host");
    assert!(ssh.contains("ssh://host") && ssh.contains("ssh -nNT -L"), "{ssh}");
    let context = plan(("DOCKER_CONTEXT", "remote"), "");
    assert!(context.contains("DOCKER_CONTEXT=remote") && context.contains("docker context inspect"), "{context}");
}

#[test]
fn validate_says_when_there_was_nothing_to_look_at() {
    let bench = Bench::new();
    let empty = bench.dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let at = |path: &Path| bench.setpoint(&["validate", "--repo", path.to_str().unwrap()]);
    let run = at(&empty);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("nothing was checked") && run.out.is_empty(), "{run:?}");
    let run = at(Path::new("/"));
    assert_eq!(run.code, Some(64), "{run:?}");
    assert!(run.err.contains("whole file system"), "{run:?}");
    // A bare repo has a commit and no folder.
    let bare = bench.dir.path().join("bare.git");
    bench.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let run = at(&bare);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "valid: 1 deployment, 2 services\n"), "{run:?}");
    let run = bench.setpoint(&["plan", "--worktree", "--repo", bare.to_str().unwrap()]);
    assert_eq!(run.code, Some(64), "{run:?}");
}

#[test]
fn validate_with_json_prints_json_whatever_is_wrong() {
    let bench = Bench::new();
    let json = |run: &Run| {
        serde_json::from_str::<serde_json::Value>(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    };
    let gone = bench.setpoint(&["validate", "--json", "--repo", "https://127.0.0.1:1/a.git", "--rev", "main"]);
    let report = json(&gone);
    assert_eq!((gone.code, &report["valid"], &report["version"]), (Some(1), &false.into(), &1.into()), "{report}");
    assert!(report["mistakes"][0]["message"].as_str().unwrap().contains("cannot reach"), "{report}");
    let task = |id: &str| {
        format!("    - {{id: {id}, address: \"h:1\", scheduled_time: 0, estimated_duration: 2s, deadline: 1s}}\n")
    };
    let schedule = format!("schedule:\n  name: s\n  feasibility: error\n  tasks:\n{}{}", task("a"), task("b"));
    fs::create_dir_all(bench.repo().join("schedules")).unwrap();
    fs::write(bench.repo().join("schedules/s.yaml"), schedule).unwrap();
    let run = bench.setpoint(&["validate", "--json"]);
    let report = json(&run);
    assert_eq!((run.code, &report["valid"]), (Some(1), &false.into()), "{run:?}");
    assert_eq!(report["mistakes"][0]["code"], "infeasible", "{report}");
}

#[test]
fn a_password_in_an_address_is_refused_and_not_printed() {
    let bench = Bench::new();
    let run = bench.setpoint(&["plan", "--repo", "https://git:hunter2@127.0.0.1:1/a.git"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("holds a password") && run.err.contains("SETPOINT_GIT_TOKEN"), "{}", run.err);
    assert!(!run.err.contains("hunter2") && !run.out.contains("hunter2"), "{run:?}");
}

#[test]
fn what_follows_ends_when_nobody_reads_any_more() {
    use setpoint::event::{Event, Fact};
    let bench = Bench::new();
    let store = setpoint::store::Store::open(&bench.dir.path().join("state")).unwrap();
    for _ in 0..3 {
        store.record(&Event { at: setpoint::model::Timestamp::UNIX_EPOCH, fact: Fact::DaemonStopped }).unwrap();
    }
    let line = format!("timeout 30 {} events -f | head -n 1; echo ${{PIPESTATUS[0]}}", cargo_bin("setpoint").display());
    let run = Run::of(&bench.isolated("bash").args(["-c", &line]).output().unwrap());
    assert!(run.out.ends_with("\n0\n") && run.out.contains("daemon stopped"), "{run:?}");
}

#[test]
fn what_others_wrote_does_not_rule_the_terminal() {
    let bench = Bench::new();
    bench.write(&SHOP.replace("api:1.4", "api:1.5"));
    bench.commit("title \u{1b}]0;owned\u{7} \u{1b}[2J end");
    let run = bench.setpoint(&["diff", "HEAD~1"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("title ␛]0;owned␇ ␛[2J end"), "{}", run.out);
    assert!(!run.out.contains(['\u{1b}', '\u{7}']), "{:?}", run.out);
}

#[test]
fn a_demo_without_an_engine_says_what_it_needs() {
    let run = Bench::new().setpoint(&["demo"]);
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("needs a running Docker Engine"), "{}", run.err);
}
