//! `setpoint run` with existing task servers: processes that are not ours, each with a name of its own.

use crate::interop::{Peer, python};
use serde_json::{Value, json};
use setpoint::model::TaskAddress;
use setpoint::wire::{EndNotice, OrchestratorChannel, TaskResult};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Two task servers, and a port for the orchestrator that they know.
struct Servers {
    peers: [Peer; 2],
    ports: [u64; 2],
    listen: String,
}

impl Servers {
    fn start(form: &str) -> Option<Self> {
        Self::start_with(form, &[])
    }

    fn start_with(form: &str, more: &[&str]) -> Option<Self> {
        let python = python()?;
        // Free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = format!("127.0.0.1:{port}");
        let peer = |name: &str| {
            let arguments = ["--form", form, "--name", name, "--address", "127.0.0.1:0", "--orchestrator", &listen];
            let mut peer = Peer::run(&python, "wrapper.py", &[&arguments, more].concat());
            let port = peer.says()["port"].as_u64().unwrap();
            (peer, port)
        };
        let ((one, port_one), (other, port_other)) = (peer("my_new_task"), peer("ml_task"));
        Some(Self { peers: [one, other], ports: [port_one, port_other], listen })
    }

    fn text(&self, text: &str) -> String {
        text.replace("PORT1", &self.ports[0].to_string()).replace("PORT2", &self.ports[1].to_string())
    }

    /// Runs a schedule: the exit code, and what `--json` says.
    fn run(&self, text: &str, more: &[&str]) -> (i32, Value) {
        conducted(&self.listen, &self.text(text), more)
    }
}

/// Runs a schedule, and takes end notices at `listen`.
fn conducted(listen: &str, text: &str, more: &[&str]) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedule.yaml");
    std::fs::write(&file, text).unwrap();
    let out = crate::support::setpoint()
        .args(["run", file.to_str().unwrap(), "--json", "--listen", listen])
        .args(more)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    let said = serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (out.status.code().unwrap(), said)
}

/// A file of `schedules/`.
fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/schedules").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Tells an orchestrator, as anybody can, that a task has ended.
fn tell_end(listen: &str, name: &str) {
    let notice = EndNotice::new(name, TaskResult::Success);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let port = listen.rsplit_once(':').unwrap().1.parse().unwrap();
    let channel = OrchestratorChannel::new(TaskAddress::Tcp("127.0.0.1".to_owned(), port), None);
    runtime.block_on(channel.notify(&notice, Duration::from_secs(5))).unwrap();
}

fn task<'v>(run: &'v Value, id: &str) -> &'v Value {
    run["tasks"].as_array().unwrap().iter().find(|task| task["task"] == id).unwrap()
}

/// When an occurrence was sent and when it ended, in milliseconds.
fn span(run: &Value, id: &str) -> (u64, u64) {
    let ms =
        |key: &str| task(run, id)["tries"][0][key].as_u64().unwrap_or_else(|| panic!("{id} {key}: {run}")) / 1_000_000;
    (ms("sent_ns"), ms("ended_ns"))
}

fn verdicts(run: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    run["tasks"].as_array().unwrap().iter().map(|task| (text(&task["task"]), text(&task["verdict"]))).collect()
}

fn all(run: &Value, verdict: &str) -> bool {
    verdicts(run).iter().all(|(_, found)| found == verdict)
}

#[test]
fn timed_and_sequential_tasks_keep_their_timeline() {
    let Some(mut servers) = Servers::start("json") else { return };
    let (code, run) = servers.run(&file("hybrid.yaml"), &[]);
    assert_eq!((code, &run["verdict"]), (0, &json!("succeeded")), "{run}");
    assert!(all(&run, "succeeded"));
    let (first, ml, post, report) =
        (span(&run, "my_task"), span(&run, "ml_processing"), span(&run, "post"), span(&run, "report"));
    assert!(first.0 < 50 && first.1 >= 100, "{first:?}");
    assert!((300..350).contains(&ml.0), "{ml:?}");
    assert!(post.0 >= ml.1 && report.0 >= post.1, "{ml:?} {post:?} {report:?}");
    // What the server got: the file's values with their types, its id, and the output of what it needs.
    let mut said = servers.peers[0].says();
    assert_eq!(said["parameters"], json!({"sleep_ms": 100, "my_param": 123, "task_id": "my_task"}));
    assert_eq!(said["deadline_us"], 1_000_000);
    servers.peers[0].says();
    said = servers.peers[0].says();
    let model = json!({"layers": [1, 2], "name": "7"});
    let output = json!({"sleep_ms": 50, "model": model, "task_id": "ml_processing"});
    assert_eq!(said["parameters"], json!({"sleep_ms": 50, "task_id": "post", "dep_output": output}));
}

#[test]
fn tasks_without_dependencies_follow_each_other_whatever_becomes_of_them() {
    let Some(servers) = Servers::start("json") else { return };
    let (code, run) = servers.run(&file("sequential.yaml"), &[]);
    assert_eq!((code, &run["verdict"]), (1, &json!("failed")), "{run}");
    let expected = [("first", "succeeded"), ("second", "failed"), ("third", "succeeded")];
    assert_eq!(verdicts(&run), expected.map(|(task, verdict)| (task.to_owned(), verdict.to_owned())));
    assert_eq!(task(&run, "second")["tries"][0]["message"], "no paper");
    assert!(span(&run, "second").0 >= span(&run, "first").1 && span(&run, "third").0 >= span(&run, "second").1);
}

#[test]
fn a_start_that_never_gets_its_turn_stops_nothing_of_another_run() {
    let Some(servers) = Servers::start("json") else { return };
    let task = |id: &str, more: &str| {
        format!("schedule:\n  tasks:\n    - {{id: {id}, address: \"127.0.0.1:PORT1\", scheduled_time: 0, {more}}}\n")
    };
    std::thread::scope(|scope| {
        let (listen, long) = (servers.listen.clone(), servers.text(&task("long", "parameters: {sleep_ms: 2500}")));
        let first = scope.spawn(move || conducted(&listen, &long, &[]));
        std::thread::sleep(Duration::from_millis(900));
        // It waits at the busy task server until its time is up; nobody knows where it takes end notices.
        let folder = tempfile::tempdir().unwrap();
        let nobody = format!("unix:{}", folder.path().join("o.sock").display());
        let (code, second) = conducted(&nobody, &servers.text(&task("late", "start_timeout: 500ms")), &[]);
        assert_eq!((code, &second["verdict"]), (1, &json!("failed")), "{second}");
        let (code, first) = first.join().unwrap();
        assert_eq!((code, &first["verdict"]), (0, &json!("succeeded")), "{first}");
        assert!(span(&first, "long").1 >= 2_500, "it was stopped: {first}");
    });
}

/// A notice ends a task only if it names it: by its id, or by a name that its own server has answered with.
#[test]
fn a_stranger_ends_nothing_and_a_server_is_known_by_the_name_that_it_answers_with() {
    let Some(mut servers) = Servers::start_with("json", &["--says-id"]) else { return };
    let schedule = "schedule:\n  tasks:\n    - {id: nap, address: \"127.0.0.1:PORT1\", scheduled_time: 0, lease: 1s, \
                    parameters: {sleep_ms: 2500}}\n";
    let listen = servers.listen.clone();
    std::thread::scope(|scope| {
        let (to, peer) = (&listen, &mut servers.peers[0]);
        scope.spawn(move || {
            assert_eq!(peer.says()["start"], "nap");
            std::thread::sleep(Duration::from_millis(300));
            for _ in 0..3 {
                tell_end(to, "nobody-knows-me");
            }
            // The server itself says its name, which is not the one that it acknowledged.
            assert_eq!(peer.says()["acknowledged"], true);
        });
        let (code, run) = conducted(&listen, &schedule.replace("PORT1", &servers.ports[0].to_string()), &[]);
        assert_eq!((code, &run["verdict"]), (0, &json!("succeeded")), "{run}");
        assert!(span(&run, "nap").1 >= 2_500, "a stranger ended it: {run}");
        assert_eq!(task(&run, "nap")["tries"][0]["output"]["sleep_ms"], 2_500, "{run}");
    });
}

#[test]
fn timed_tasks_start_at_their_times() {
    let Some(servers) = Servers::start("json") else { return };
    let (code, run) = servers.run(&file("timed.yaml"), &[]);
    assert_eq!(code, 0, "{run}");
    for (id, due) in [("at_0", 0), ("at_200", 200_000_000), ("at_400", 400_000_000)] {
        let one = &task(&run, id)["tries"][0];
        assert_eq!(one["released_ns"], due);
        assert!(one["sent_ns"].as_u64().unwrap() >= due, "{id} was early: {one}");
        assert!(one["late_ns"].as_u64().unwrap() < 50_000_000, "{id}: {one}");
    }
}

#[test]
fn every_key_of_the_existing_format_is_in_effect() {
    for form in ["json", "map"] {
        let Some(mut servers) = Servers::start(form) else { return };
        let text =
            file("template.yaml").replace("    critical: false", &format!("    critical: false\n    protocol: {form}"));
        let (code, run) = servers.run(&text, &[]);
        assert_eq!(code, 0, "{run}");
        let said = servers.peers[0].says();
        assert_eq!((&said["start"], &said["scheduled_time_us"]), (&json!("sample"), &json!(100_000)));
        assert_eq!((&said["deadline_us"], &said["rt"]), (&json!(300_000), &json!(["fifo", 80, 1])));
        let parameters = &said["parameters"];
        match form {
            "json" => {
                let list = json!([1, {"deep": null}]);
                let expected = json!({
                    "sleep_ms": 20, "on": true, "ratio": 0.5, "text": "0.5", "list": list, "task_id": "sample",
                });
                assert_eq!(parameters, &expected);
            }
            _ => {
                assert_eq!((&parameters["on"], &parameters["ratio"]), (&json!("true"), &json!("0.5")));
                assert_eq!(said["priority"], 90);
                let after = servers.peers[1].says();
                assert_eq!(after["parameters"]["dep_ratio"], "0.5");
            }
        }
    }
}

#[test]
fn a_deadline_stops_the_task_and_its_dependants_never_start() {
    let Some(servers) = Servers::start("json") else { return };
    let text = "schedule:\n  name: late\n  defaults: {grace: 300ms}\n  tasks:\n    - {id: slow, address: \"127.0.0.1:PORT1\", \
                scheduled_time: 0, deadline: 100ms, parameters: {sleep_ms: 250}}\n    \
                - {id: next, address: \"127.0.0.1:PORT2\", depends_on: slow}\n    \
                - {id: alarm, address: \"127.0.0.1:PORT2\", depends_on: {slow: failure}}\n";
    let (code, run) = servers.run(text, &[]);
    assert_eq!((code, &run["verdict"]), (1, &json!("failed")), "{run}");
    assert_eq!(task(&run, "slow")["verdict"], "timed out");
    assert_eq!(task(&run, "slow")["missed_deadline"], true);
    assert_eq!(
        (&task(&run, "next")["verdict"], &task(&run, "next")["why"]),
        (&json!("skipped"), &json!("it needs slow"))
    );
    assert_eq!(task(&run, "alarm")["verdict"], "succeeded");
}

#[test]
fn a_task_server_that_dies_ends_its_task_as_failed_and_the_run_goes_on() {
    let Some(mut servers) = Servers::start("json") else { return };
    let text = servers.text(
        "schedule:\n  name: lost\n  defaults: {lease: 200ms}\n  tasks:\n    - {id: doomed, address: \"127.0.0.1:PORT1\", \
         scheduled_time: 0, parameters: {sleep_ms: 60000}}\n    - {id: absent, address: \"127.0.0.1:1\", scheduled_time: 0}\n    \
         - {id: other, address: \"127.0.0.1:PORT2\", scheduled_time: 600ms}\n",
    );
    let running = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let servers = &servers.listen;
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("s.yaml");
            std::fs::write(&file, &text).unwrap();
            let arguments = ["run", file.to_str().unwrap(), "--json", "--listen", servers];
            crate::support::setpoint().args(arguments).output().unwrap()
        });
        let doomed = &mut servers.peers[0];
        assert_eq!(doomed.says()["start"], "doomed");
        // After the acknowledgement, which follows at once.
        std::thread::sleep(Duration::from_millis(150));
        doomed.kill();
        run.join().unwrap()
    });
    let run: Value = serde_json::from_slice(&running.stdout).unwrap();
    assert_eq!(running.status.code(), Some(1));
    assert_eq!(
        (&task(&run, "doomed")["verdict"], &task(&run, "absent")["verdict"]),
        (&json!("failed"), &json!("failed"))
    );
    assert_eq!(task(&run, "doomed")["why"], "its task server gave no sign any more");
    assert_eq!(task(&run, "absent")["why"], "its start was refused");
    assert!(task(&run, "absent")["tries"][0]["message"].as_str().unwrap().contains("cannot be reached"));
    assert_eq!(task(&run, "other")["verdict"], "succeeded");
}

#[test]
fn a_dry_run_starts_nothing_and_shows_what_is_planned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hybrid.yaml");
    std::fs::write(&path, file("hybrid.yaml").replace("PORT1", "1").replace("PORT2", "2")).unwrap();
    let picture = folder.path().join("plan.svg");
    let out = crate::support::setpoint()
        .args(["run", path.to_str().unwrap(), "--dry-run", "--speed", "100", "--svg", picture.to_str().unwrap()])
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("my_task") && stdout.contains("planned"), "{stdout}");
    assert!(stderr.contains("post starts"), "{stderr}");
    assert!(std::fs::read_to_string(picture).unwrap().starts_with("<svg"));
}

/// A task runner of our own, in a process of its own.
struct Runner(std::process::Child);

impl Runner {
    fn start(socket: &Path, arguments: &[&str]) -> Self {
        let child = crate::support::setpoint()
            .args(["task", "--address", &format!("unix:{}", socket.display())])
            .args(arguments)
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let begin = std::time::Instant::now();
        while !socket.exists() {
            assert!(begin.elapsed() < Duration::from_secs(10), "the runner never listened");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self(child)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn our_own_runner_is_sent_its_tasks_ahead_and_starts_them_by_its_own_clock() {
    let folder = tempfile::tempdir().unwrap();
    let (echo, program) = (folder.path().join("e.sock"), folder.path().join("p.sock"));
    let _echo = Runner::start(&echo, &["--name", "echo"]);
    let sum = "read json; echo \"{\\\"sum\\\": $((TASK_PARAM_A + 2))}\"";
    let _program = Runner::start(&program, &["--name", "sum", "--", "sh", "-c", sum]);
    let text = format!(
        "schedule:\n  name: own\n  tasks:\n    - {{id: tick, address: \"unix:{0}\", scheduled_time: 300ms, period: 50ms, count: 5, \
         parameters: {{n: 1}}}}\n    - {{id: add, address: \"unix:{1}\", scheduled_time: 400ms, parameters: {{a: 40}}}}\n    \
         - {{id: here, command: [sh, -c, \"cat\"], depends_on: add}}\n    \
         - {{id: fails, command: [sh, -c, \"echo broken >&2; exit 3\"], depends_on: {{add: always}}, max_retries: 1, retry_delay: 20ms}}\n",
        echo.display(),
        program.display()
    );
    let file = folder.path().join("own.yaml");
    std::fs::write(&file, text).unwrap();
    let out = crate::support::setpoint()
        .args([
            "run",
            file.to_str().unwrap(),
            "--json",
            "--listen",
            &format!("unix:{}/o.sock", folder.path().display()),
        ])
        .output()
        .unwrap();
    let run: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((out.status.code(), &run["verdict"]), (Some(1), &json!("failed")), "{run}");
    let ticks: Vec<&Value> = run["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|task| task["task"] == "tick")
        .map(|task| &task["tries"][0])
        .collect();
    assert_eq!(ticks.len(), 5);
    for (tick, due) in ticks.iter().zip([300u64, 350, 400, 450, 500]) {
        assert_eq!((&tick["sent_ahead"], &tick["released_ns"]), (&json!(true), &json!(due * 1_000_000)));
        assert!(tick["started_ns"].as_u64().unwrap() >= due * 1_000_000, "early: {tick}");
        assert_eq!(tick["output"], json!({"n": 1, "task_id": "tick"}));
    }
    assert_eq!(task(&run, "add")["tries"][0]["output"], json!({"sum": 42}));
    assert_eq!(task(&run, "here")["tries"][0]["output"]["dep_output"], json!({"sum": 42}));
    let fails = task(&run, "fails")["tries"].as_array().unwrap();
    assert_eq!(fails.len(), 2);
    assert!(fails[1]["message"].as_str().unwrap().contains("exit 3: broken"), "{fails:?}");
}

#[test]
fn a_strict_schedule_is_refused_when_what_it_asks_for_cannot_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("strict.yaml");
    let text = |strict| {
        format!("schedule:\n  strict: {strict}\n  tasks: [{{id: a, command: [\"true\"], scheduled_time: 0}}]\n")
    };
    let run = |strict| {
        std::fs::write(&file, text(strict)).unwrap();
        let listen = format!("unix:{}/o.sock", folder.path().display());
        // A CPU that no machine of these tests has.
        let arguments = ["run", file.to_str().unwrap(), "--listen", &listen, "--cpu-affinity", "8000"];
        crate::support::setpoint().args(arguments).output().unwrap()
    };
    let refused = run(true);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the schedule is strict") && stderr.contains("8000"), "{stderr}");
    let told = run(false);
    let stderr = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("8000"), "{stderr}");
}

#[test]
fn a_schedule_that_cannot_hold_its_times_is_told_or_refused_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schedules");
    std::fs::create_dir(&path).unwrap();
    let validate = |feasibility: &str| {
        let text = format!(
            "schedule:\n  feasibility: {feasibility}\n  tasks: [{{id: a, address: \"h:1\", scheduled_time: 0, deadline: 1ms, \
             estimated_duration: 2ms}}]\n"
        );
        std::fs::write(path.join("tight.yaml"), text).unwrap();
        let out = crate::support::setpoint().args(["validate", "--repo"]).arg(folder.path()).output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, said) = validate("warn");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("note: schedules/tight.yaml:3: "), "{said}");
    let (code, said) = validate("error");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("schedules/tight.yaml:3:") && said.contains("write `feasibility: warn`"), "{said}");
    let (code, said) = validate("off");
    assert_eq!((code, said.contains("tight.yaml")), (Some(0), false), "{said}");
}

/// A private key and a certificate for 127.0.0.1, signed by a CA, as an administrator makes them.
fn certificates(folder: &Path) -> Vec<String> {
    let openssl = |words: &[&str]| {
        let out = Command::new("openssl").args(words).current_dir(folder).output().unwrap();
        assert!(out.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let ca = ["req", "-x509", "-subj", "/CN=ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(&[&ca[..1], &key, &ca[1..]].concat());
    let request = ["-subj", "/CN=task", "-keyout", "task.key", "-out", "task.csr"];
    openssl(&[&["req"], &key[..], &request].concat());
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let sign = ["x509", "-req", "-in", "task.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(&[&sign[..], &["-days", "2", "-extfile", "names", "-out", "task.pem"]].concat());
    let path = |name: &str| folder.join(name).display().to_string();
    ["--tls-cert", &path("task.pem"), "--tls-key", &path("task.key"), "--tls-ca", &path("ca.pem")]
        .map(str::to_owned)
        .into()
}

#[test]
fn a_run_over_tls_and_without_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let tls = certificates(folder.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("tls://127.0.0.1:{port}");
    let server = crate::support::setpoint()
        .args(["task", "--name", "echo", "--address", &address])
        .args(&tls)
        .stderr(std::process::Stdio::null())
        .spawn();
    let _server = Runner(server.unwrap());
    let file = folder.path().join("schedule.yaml");
    let text = format!("schedule:\n  tasks:\n    - {{id: a, address: \"{address}\", scheduled_time: 200ms}}\n");
    std::fs::write(&file, text).unwrap();
    let listen = format!("unix:{}", folder.path().join("orchestrator.sock").display());
    let run = |more: &[String]| {
        let words = ["run", file.to_str().unwrap(), "--json", "--listen", &listen];
        let out = crate::support::setpoint().args(words).args(more).output().unwrap();
        let run: Value = serde_json::from_slice(&out.stdout).unwrap();
        (out.status.code().unwrap(), run)
    };
    let (code, with) = run(&tls);
    assert_eq!((code, &with["remarks"]), (0, &json!([])), "{with}");
    assert_eq!(task(&with, "a")["tries"][0]["sent_ahead"], json!(true));

    let (code, without) = run(&[]);
    let message = task(&without, "a")["tries"][0]["message"].as_str().unwrap().to_owned();
    assert_eq!(code, 1);
    assert!(message.contains("set `tls-cert`, `tls-key` and `tls-ca`"), "{message}");
}
