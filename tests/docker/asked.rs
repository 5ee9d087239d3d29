//! Applies beside others: asked of a daemon that follows the same commit, and left at their prompt.

use super::cli::{Host, host, text, within};
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A command with a terminal, at which it can ask.
struct AtTerminal {
    child: Child,
    said: std::path::PathBuf,
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AtTerminal {
    /// Starts it and waits until it asks.
    fn asked(host: &Host, args: &[&str]) -> Self {
        let command = host.command(args);
        let words = std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_str().unwrap());
        let line = shlex::try_join(words).unwrap();
        let said = host.dir.path().join("terminal");
        let mut terminal = Command::new("script");
        terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(host.repo());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => terminal.env(name, value),
                None => terminal.env_remove(name),
            };
        }
        terminal.stdin(Stdio::piped()).stdout(File::create(&said).unwrap());
        let one = Self { child: terminal.spawn().expect("`script` is part of util-linux"), said };
        assert!(
            within(Duration::from_secs(30), || one.said().contains("[y/N]")),
            "{args:?} never asks: {}",
            one.said()
        );
        one
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    /// Answers the question; the exit code and all that was said.
    fn answer(mut self, word: &str) -> (Option<i32>, String) {
        self.say(word);
        self.ended()
    }

    fn say(&mut self, word: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{word}\n").as_bytes()).unwrap();
    }

    fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.said())
    }
}

fn lock_is_free(host: &Host) -> bool {
    let file = File::open(host.state().join("apply.lock")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[test]
fn nobody_is_kept_from_the_host_while_a_person_is_asked() {
    let Some(host) = host() else { return };
    host.settings("stability-window \"0ms\"");
    host.want(&[("a", "")]);
    let first = AtTerminal::asked(&host, &["apply"]);
    assert!(lock_is_free(&host));
    let began = Instant::now();
    host.apply();
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let id = host.id("a");
    let (code, said) = first.answer("y");
    assert!(code == Some(1) && said.contains("is stale, nothing was changed"), "{code:?} {said}");
    assert_eq!(host.id("a"), id);

    let environment = ["--environment", host.name.as_str()];
    for verb in ["stop", "cleanup"] {
        let asked = AtTerminal::asked(&host, &[&[verb], environment.as_slice()].concat());
        assert!(lock_is_free(&host), "{verb}");
        assert_eq!(asked.answer("n").0, Some(1), "{verb}");
    }
    assert_eq!(host.inspect("a")["State"]["Running"], true);
    host.ok(&[&["stop", "--yes"], environment.as_slice()].concat());
    let asked = AtTerminal::asked(&host, &[&["start"], environment.as_slice()].concat());
    assert!(lock_is_free(&host));
    let (code, said) = asked.answer("y");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(host.inspect("a")["State"]["Running"], true);
}

/// The guard is lifted by the daemon, for this plan alone; the command shows its progress and ends as if it had done it itself.
#[test]
fn a_running_daemon_is_asked_for_another_try() {
    let Some(host) = host() else { return };
    let flag = host.dir.path().join("flag");
    std::fs::create_dir(&flag).unwrap();
    let line = "command: [sh, -c, 'test -e /flag/good && exec sleep 600; echo no flag; exit 4']";
    let service = format!("{line}\nrestart: 'no'\nvolumes: ['{}:/flag:ro']", flag.display());
    let first = host.want(&[("app", ""), ("web", "")]);
    let daemon = host.daemon();
    host.converged(&first, &daemon);
    let id = host.id("app");
    let second = host.want(&[("app", &service), ("web", &service)]);
    let rest = |count: u64| {
        host.until(&daemon, "it is held", || {
            let status = host.status();
            let held = status["held"].as_array().unwrap().len() as u64;
            held == count && status["applying"].is_null() && status["revision"]["wanted"]["commit"] == second.as_str()
        });
    };
    rest(2);
    let of = |kind: &str| -> Vec<Value> { host.events().into_iter().filter(|event| event["kind"] == kind).collect() };
    let asked = || daemon.log().matches("an apply is asked for").count();
    let app = format!("{}/app", host.name);
    let retry = format!("retry:{app}");
    let (failed, tried) = (of("step_failed").len(), of("step_started").len());
    assert_eq!((failed, tried), (2, tried));

    // It fails once more, as an apply here would.
    let run = host.run(&["apply", "--yes", "--allow", &retry]);
    assert_eq!((run.code, host.id("app")), (Some(1), id.clone()), "{}{}", run.out, run.err);
    assert!(run.out.contains("FAILED: exited (4)") && run.out.contains("log    no flag"), "{}", run.out);
    assert!(run.out.ends_with("0 done, 1 failed\n"), "{}", run.out);
    let step = format!("replace {app}/1: ");
    assert!(run.err.contains(&format!("{step}begun\n")) && run.err.contains(&format!("{step}FAILED")), "{}", run.err);
    assert_eq!(asked(), 1, "{}", daemon.log());
    assert_eq!((of("step_failed").len(), of("step_started").len()), (failed + 1, tried + 1));
    assert_eq!(of("plan_made").last().unwrap()["plan"], of("step_failed").last().unwrap()["plan"]);
    // The next looks do not have the guard any more.
    for _ in 0..3 {
        host.ok(&["poke"]);
        std::thread::sleep(Duration::from_millis(500));
    }
    rest(2);
    assert_eq!(of("step_started").len(), tried + 1);

    // A reviewed plan, or nothing.
    std::fs::write(flag.join("good"), "").unwrap();
    let stale = host.run(&["apply", "--allow", &retry, "--plan-id", "000000000000"]);
    assert_eq!((stale.code, asked()), (Some(1), 1), "{}", stale.err);
    let reviewed = text(&host.json(&["plan", "--allow", &retry])["id"]).to_owned();
    let run = host.run(&["apply", "--allow", &retry, "--plan-id", &reviewed]);
    assert_eq!((run.code, asked()), (Some(3), 2), "the other one is held\n{}{}", run.out, run.err);
    assert!(run.out.ends_with("1 done\n"), "{}", run.out);
    assert_ne!(host.id("app"), id);
    rest(1);
    let run = host.run(&["apply", "--allow", "retry", "--yes", "--json"]);
    let outcome: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, asked(), &outcome["done"]), (Some(0), 3, &1.into()), "{}{}", run.out, run.err);
    assert_eq!(outcome["results"][0]["state"], "done");
    host.converged(&second, &daemon);
    host.settled();
    assert_eq!(daemon.stop(), Some(0));
}

/// Whoever is asked at the prompt beside a daemon approves a plan that the daemon then carries out.
#[test]
fn what_is_approved_at_the_prompt_is_asked_of_the_daemon() {
    let Some(host) = host() else { return };
    let fails = "command: [sh, -c, 'exit 4']";
    let first = host.want(&[("app", "")]);
    let daemon = host.daemon();
    host.converged(&first, &daemon);
    host.want(&[("app", fails)]);
    host.until(&daemon, "it is held", || !host.status()["held"].as_array().unwrap().is_empty());
    let first = AtTerminal::asked(&host, &["apply", "--allow", "retry"]);
    let (code, said) = first.answer("y");
    assert!(code == Some(1) && said.contains("0 done, 1 failed"), "{code:?} {said}");
    assert_eq!(daemon.log().matches("an apply is asked for").count(), 1, "{}", daemon.log());

    // What the daemon cannot do is done here, and without a daemon as well.
    let mut second = AtTerminal::asked(&host, &["apply", "--allow", "retry"]);
    let other = File::open(host.state().join("apply.lock")).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    second.say("y");
    let refused =
        "the daemon was asked and did not carry it out: it cannot be carried out now: another process applies";
    host.until(&daemon, "the daemon refuses", || second.said().contains(refused));
    drop(other);
    let (code, said) = second.ended();
    assert!(code == Some(1) && said.contains("0 done, 1 failed"), "{code:?} {said}");
    assert_eq!(daemon.stop(), Some(0));
    let (code, said) = AtTerminal::asked(&host, &["apply", "--allow", "retry"]).answer("y");
    assert!(code == Some(1) && said.contains("0 done, 1 failed"), "{code:?} {said}");
    let tries = host.events().iter().filter(|event| event["kind"] == "step_failed").count();
    assert_eq!(tries, 4, "one by the daemon, and one for each time that somebody asked");
}
