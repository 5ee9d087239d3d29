//! Programs of schedules, through the real runner: what they find, what comes of them, and what the machine does not give.

use crate::support::process::{find_or_skip, wait_for};
use assert_cmd::cargo::cargo_bin;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A folder that everybody may enter, with a schedule in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(schedule: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let place = Self { folder };
        place.write(schedule);
        place
    }

    fn write(&self, schedule: &str) {
        let text = schedule.replace("FOLDER", &self.path("").display().to_string());
        std::fs::write(self.path("s.yaml"), text).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// `setpoint run`, by way of `before`.
    fn output(&self, before: &[&str], more: &[&str]) -> Output {
        let setpoint = cargo_bin("setpoint");
        let listen = format!("unix:{}", self.path("o.sock").display());
        let file = self.path("s.yaml");
        let words = [setpoint.to_str().unwrap(), "run", file.to_str().unwrap(), "--listen", &listen];
        let all: Vec<&str> = before.iter().copied().chain(words).chain(more.iter().copied()).collect();
        Command::new(all[0]).args(&all[1..]).env("SECRET_OF_THE_DAEMON", "hunter2").output().unwrap()
    }

    fn run(&self, before: &[&str]) -> (i32, Value) {
        let out = self.output(before, &["--json"]);
        let said = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stderr)));
        (out.status.code().unwrap(), said)
    }
}

fn tries<'v>(run: &'v Value, id: &str) -> &'v [Value] {
    let task = run["tasks"].as_array().unwrap().iter().find(|task| task["task"] == id).unwrap();
    task["tries"].as_array().unwrap()
}

#[test]
fn a_program_that_prints_text_succeeded_and_is_not_run_again() {
    let place = Place::new(
        "schedule:\n  defaults: {max_retries: 2, retry_delay: 1ms}\n  tasks:\n    \
         - {id: hello, command: [sh, -c, \"echo once >> FOLDER/count; echo note >&2; echo hello\"]}\n    \
         - {id: next, command: [cat], depends_on: hello}\n",
    );
    let (code, run) = place.run(&[]);
    assert_eq!((code, &run["verdict"]), (0, &json!("succeeded")), "{run}");
    let [hello] = tries(&run, "hello") else { panic!("one try: {run}") };
    assert_eq!(
        (&hello["output"], &hello["stderr"], &hello["message"]),
        (&json!("hello"), &json!("note\n"), &Value::Null)
    );
    assert_eq!(tries(&run, "next")[0]["output"]["dep_output"], "hello");
    assert_eq!(std::fs::read_to_string(place.path("count")).unwrap(), "once\n");
}

#[test]
fn what_a_program_wrote_is_kept_when_it_fails_and_shown() {
    let place = Place::new(
        "schedule:\n  tasks:\n    - {id: bad, command: [sh, -c, \"echo halfway; echo broken >&2; exit 3\"]}\n",
    );
    let (code, run) = place.run(&[]);
    assert_eq!(code, 1);
    let bad = &tries(&run, "bad")[0];
    assert_eq!((&bad["stdout"], &bad["stderr"]), (&json!("halfway\n"), &json!("broken\n")), "{run}");
    let shown = String::from_utf8(place.output(&[], &[]).stdout).unwrap();
    assert!(shown.contains("bad stdout:\n  halfway\n") && shown.contains("bad stderr:\n  broken\n"), "{shown}");
}

#[test]
fn a_program_finds_what_it_declares_and_nothing_of_the_daemons_own() {
    let place = Place::new("schedule:\n  tasks:\n    - {id: env, command: [env], env: {MODE: fast}}\n");
    let (_, run) = place.run(&[]);
    let text = tries(&run, "env")[0]["output"].as_str().unwrap();
    assert!(text.contains("MODE=fast\n") && text.contains("SETPOINT_TASK=env") && text.contains("PATH=/"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("CARGO"), "{text}");
    let run_id = run["run"].as_str().unwrap();
    assert!(text.contains(&format!("SETPOINT_RUN={run_id}")), "{text}");
}

#[test]
fn no_parameter_picks_the_program_of_another_task() {
    let place = Place::new(
        "schedule:\n  tasks:\n    - {id: a, command: [echo, one], parameters: {task_type: b}}\n    \
         - {id: b, command: [echo, two], parameters: {task_type: ml}}\n",
    );
    let (code, run) = place.run(&[]);
    assert_eq!(
        (code, &tries(&run, "a")[0]["output"], &tries(&run, "b")[0]["output"]),
        (0, &json!("one"), &json!("two")),
        "{run}"
    );
}

#[test]
fn a_run_whose_task_servers_are_all_ours_opens_no_port() {
    let place = Place::new("schedule:\n  tasks:\n    - {id: here, command: [\"true\"]}\n");
    // Taken: whoever listened there would fail.
    let _taken = std::os::unix::net::UnixListener::bind(place.path("o.sock")).unwrap();
    let (code, run) = place.run(&[]);
    assert_eq!((code, &run["verdict"]), (0, &json!("succeeded")), "{run}");
    place.write("schedule:\n  tasks:\n    - {id: there, address: \"127.0.0.1:1\"}\n");
    let said = String::from_utf8(place.output(&[], &[]).stderr).unwrap();
    assert!(said.contains("cannot listen for end notices"), "{said}");
}

/// Before a command, so that it runs as nobody, without any right; `None` when that cannot be.
fn nobody() -> Option<[&'static str; 5]> {
    find_or_skip("setpriv")?;
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
    let program = cargo_bin("setpoint");
    let tried =
        Command::new(words[0]).args(&words[1..]).args([program.to_str().unwrap(), "--version"]).output().unwrap();
    if !tried.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&tried.stderr));
        return None;
    }
    Some(words)
}

const REAL_TIME: &str = "schedule:\n  strict: STRICT\n  tasks:\n    \
    - {id: first, TARGET, scheduled_time: 10ms}\n    \
    - {id: rt, TARGET, scheduled_time: 300ms, rt_policy: fifo, rt_priority: 80}\n";
const PROGRAM: &str = "command: [touch, FOLDER/ran]";

/// Of a schedule whose task asks for a policy that cannot be had: told, or with `strict` nothing begins.
fn refused_policy(place: &Place, target: &str, before: &[&str]) {
    let schedule = |strict: &str| REAL_TIME.replace("TARGET", target).replace("STRICT", strict);
    place.write(&schedule("true"));
    let out = place.output(before, &[]);
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("the schedule is strict: rt: fifo 80 was not applied: CAP_SYS_NICE is missing"),
        "{stderr}"
    );
    assert!(!place.path("ran").exists(), "a task began");

    place.write(&schedule("false"));
    let (code, run) = place.run(before);
    assert_eq!((code, &run["verdict"]), (0, &json!("succeeded")), "{run}");
    let told = |text: &Value| text.as_str().unwrap().contains("fifo 80 was not applied: CAP_SYS_NICE is missing");
    let remarks = run["remarks"].as_array().unwrap();
    assert_eq!(remarks.iter().filter(|remark| told(remark)).count(), 1, "{remarks:?}");
    assert!(told(&tries(&run, "rt")[0]["remarks"][0]), "{run}");
    assert_eq!(tries(&run, "first")[0]["remarks"], json!([]));
    assert!(place.path("ran").exists());
}

#[test]
fn a_policy_that_is_not_permitted_is_told_or_keeps_a_strict_run_from_beginning() {
    let Some(nobody) = nobody() else { return };
    refused_policy(&Place::new(""), PROGRAM, &nobody);
}

/// A task server of our own.
struct Server(Child);

impl Server {
    fn start(before: &[&str], socket: &Path, more: &[&str]) -> Self {
        let address = format!("unix:{}", socket.display());
        let setpoint = cargo_bin("setpoint");
        let words = [setpoint.to_str().unwrap(), "task", "--address", &address];
        let all: Vec<&str> = before.iter().copied().chain(words).chain(more.iter().copied()).collect();
        let child = Command::new(all[0]).args(&all[1..]).stderr(Stdio::null()).spawn().unwrap();
        let server = Self(child);
        wait_for("the task server", || socket.exists());
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_policy_that_a_task_server_may_not_give_is_told_or_keeps_a_strict_run_from_beginning() {
    let Some(nobody) = nobody() else { return };
    let place = Place::new("");
    let (socket, ran) = (place.path("t.sock"), place.path("ran"));
    let _server = Server::start(&nobody, &socket, &["--name", "t", "--", "touch", ran.to_str().unwrap()]);
    refused_policy(&place, &format!("address: \"unix:{}\"", socket.display()), &[]);
}

#[test]
fn a_task_server_hands_over_the_variables_that_it_is_told_to() {
    let place = Place::new("");
    let socket = place.path("t.sock");
    let arguments = ["--name", "t", "--env", "MODE=fast", "--env", "CARGO_PKG_NAME", "--", "env"];
    let _server = Server::start(&[], &socket, &arguments);
    place.write(&format!("schedule:\n  tasks: [{{id: a, address: \"unix:{}\"}}]\n", socket.display()));
    let (_, run) = place.run(&[]);
    let text = tries(&run, "a")[0]["output"].as_str().unwrap();
    assert!(text.contains("MODE=fast") && text.contains("CARGO_PKG_NAME=setpoint"), "{text}");
    assert!(!text.contains("CARGO_MANIFEST_DIR"), "{text}");
}

#[test]
fn a_server_that_hangs_and_a_name_that_is_not_there_delay_their_own_tasks_only() {
    // It takes connections, and never says anything.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let place = Place::new(&format!(
        "schedule:\n  defaults: {{start_timeout: 200ms, grace: 100ms}}\n  tasks:\n    \
         - {{id: silent, address: \"127.0.0.1:{port}\", scheduled_time: 0}}\n    \
         - {{id: nowhere, address: \"no-such-host.invalid:50051\", scheduled_time: 0}}\n    \
         - {{id: here, command: [\"true\"], scheduled_time: 100ms}}\n"
    ));
    let (code, run) = place.run(&[]);
    assert_eq!(code, 1);
    let here = &tries(&run, "here")[0];
    assert_eq!((&here["end"], &here["released_ns"]), (&json!("success"), &json!(100_000_000)), "{run}");
    let remarks = run["remarks"].as_array().unwrap();
    assert!(remarks.len() >= 2, "{remarks:?}");
}

#[test]
fn as_the_first_process_of_a_container_it_takes_leave_of_orphans() {
    let Some(unshare) = find_or_skip("unshare") else { return };
    let words = [unshare.to_str().unwrap(), "--pid", "--fork", "--kill-child", "--mount-proc"];
    if !Command::new(words[0]).args(&words[1..]).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no right to a PID namespace");
        return;
    }
    let place = Place::new("");
    let socket = place.path("t.sock");
    // What leaves its group and outlives its parent, and then ends.
    let script = "setsid sh -c 'echo $PPID > FOLDER/began; sleep 0.3' > /dev/null 2>&1 & \
                  while ! [ -s FOLDER/began ]; do sleep 0.01; done";
    let script = script.replace("FOLDER", &place.path("").display().to_string());
    let server = Server::start(&words, &socket, &["--name", "t", "--", "sh", "-c", &script]);
    place.write(&format!("schedule:\n  tasks: [{{id: a, address: \"unix:{}\"}}]\n", socket.display()));
    let (code, run) = place.run(&[]);
    assert_eq!(code, 0, "{run}");
    // `unshare` has one child: the server, whose children are seen from here.
    let first = children(server.0.id()).into_iter().next().expect("the server");
    wait_for("the orphan to end and to be gone", || children(first).is_empty());
}

/// The children of a process, zombies too.
fn children(parent: u32) -> Vec<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |number: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let above = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        above == Some(parent)
    };
    processes.filter(is_child).collect()
}
