//! The schedules of the example repo, end to end: a commit, task servers in containers made of it, and runs with the
//! timelines that the files describe.

use crate::rig::{Rig, applied, rig, until};
use serde_json::Value;
use setpoint::model::ScheduleName;
use setpoint::schedule::{RunVerdict, Verdict};
use setpoint::store::{RunFilter, RunRecord, RunState, Store, TaskRecord};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Ports of the example's task servers.
const PORTS: std::ops::RangeInclusive<u16> = 50061..=50065;

/// Milliseconds that a start may be late on a machine that runs other tests as well; how late it is where nothing else runs
/// stands in `benches/`.
const SLACK: u64 = 500;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The part of the example that the daemon conducts, under names and ports of its own.
fn example(rig: &Rig) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/infra-repo");
    for folder in ["images", "schedules"] {
        copy(&example.join(folder), &rig.work().join(folder));
    }
    std::fs::copy(example.join("prepare"), rig.work().join("prepare")).unwrap();
    let prepared = Command::new(rig.work().join("prepare")).env("SETPOINT", env!("CARGO_BIN_EXE_setpoint")).output();
    let prepared = prepared.unwrap();
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));

    // Held until all are known, so that they differ.
    let free: Vec<TcpListener> = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<String> = free.iter().map(|one| one.local_addr().unwrap().port().to_string()).collect();
    let ours = |text: String| PORTS.zip(&ports).fold(text, |text, (port, ours)| text.replace(&port.to_string(), ours));
    for file in std::fs::read_dir(rig.work().join("schedules")).unwrap() {
        let path = file.unwrap().path();
        std::fs::write(&path, ours(std::fs::read_to_string(&path).unwrap())).unwrap();
    }
    let text = ours(std::fs::read_to_string(example.join("deployments/timed.yaml")).unwrap());
    let text = text.replacen("name: timed", &format!("name: {}", rig.name), 1);
    let text = text.replace("setpoint-demo-press", &format!("{}-net", rig.name));
    let text = text.replace("image: press-task", &format!("image: {}-task", rig.name));
    std::fs::create_dir_all(rig.work().join("deployments")).unwrap();
    std::fs::write(rig.work().join("deployments/timed.yaml"), text).unwrap();
}

/// Removes the images that were built; made before the rig, so that it is dropped after the containers.
struct Images(Option<String>);

impl Drop for Images {
    fn drop(&mut self) {
        let Some(name) = &self.0 else { return };
        let filter = format!("reference=*{name}*");
        let listed = Command::new("docker").args(["images", "-q", "--filter", &filter]).output().unwrap();
        for id in String::from_utf8(listed.stdout).unwrap().lines() {
            drop(Command::new("docker").args(["rmi", "-f", id]).output());
        }
    }
}

fn ended(rig: &Rig, schedule: &str) -> Option<RunRecord> {
    let ledger = Store::open(&rig.state()).unwrap().ledger("default");
    let filter = RunFilter { schedule: Some(ScheduleName::new(schedule)), ..RunFilter::default() };
    let runs = ledger.runs(&filter).unwrap();
    assert!(runs.len() <= 1, "{runs:#?}");
    let run = runs.first().filter(|run| run.state == RunState::Ended)?;
    ledger.run(&run.id).unwrap()
}

/// Milliseconds after the run's start at which a task began, by the clock of its task server, and at which its end was
/// known here.
fn times(run: &RunRecord, id: &str) -> (u64, u64) {
    let one = &task(run, id).tries[0];
    let begun = one.started_ns.map_or(one.sent_ns, |at| u64::try_from(at).unwrap());
    (begun / 1_000_000, one.ended_ns.unwrap() / 1_000_000)
}

fn task<'r>(run: &'r RunRecord, id: &str) -> &'r TaskRecord {
    run.tasks.iter().find(|task| task.task.as_str() == id).unwrap_or_else(|| panic!("{id}: {run:#?}"))
}

/// It began then, not before, and not much later.
fn began(run: &RunRecord, id: &str, at: u64) {
    let (begun, _) = times(run, id);
    assert!(at <= begun && begun < at + SLACK, "{id} began at {begun} ms, due {at} ms: {run:#?}");
}

/// It began after the other one had ended.
fn after(run: &RunRecord, id: &str, before: &str) {
    let ((begun, _), (_, ended)) = (times(run, id), times(run, before));
    assert!(ended <= begun && begun < ended + SLACK, "{id} began at {begun} ms, {before} ended at {ended} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_from_a_commit_with_the_timelines_of_its_files() {
    let mut images = Images(None);
    let Some(rig) = rig() else { return };
    images.0 = Some(rig.name.clone());
    example(&rig);
    rig.git(&["add", "-A"]);
    rig.git(&["commit", "-q", "-m", "task servers and schedules"]);
    let commit = rig.git(&["rev-parse", "HEAD"]);
    let runs = rig
        .with(async |handle| {
            until(handle, "the task servers", |status| applied(status, &commit)).await;
            let begin = Instant::now();
            loop {
                let runs: Vec<RunRecord> =
                    ["hybrid", "sequential", "template", "timed"].iter().filter_map(|name| ended(&rig, name)).collect();
                if runs.len() == 4 {
                    return runs;
                }
                assert!(begin.elapsed() < Duration::from_secs(30), "{runs:#?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    for run in &runs {
        assert_eq!(run.run.verdict, Some(RunVerdict::Succeeded), "{run:#?}");
        assert_eq!(run.run.revision.as_ref().map(setpoint::model::CommitId::as_str), Some(&*commit));
        assert!(run.tasks.iter().all(|task| task.verdict == Some(Verdict::Succeeded) && task.tries.len() == 1));
    }
    let [hybrid, sequential, template, timed] = runs.as_slice() else { panic!("{runs:#?}") };

    // Timed ones at their times, the chain after what it depends on, and outputs handed on.
    began(hybrid, "my_task", 0);
    began(hybrid, "ml_processing", 300);
    after(hybrid, "post", "ml_processing");
    after(hybrid, "report", "post");
    let got = |id: &str| task(hybrid, id).output.as_ref().map(|output| output["got"].clone());
    assert_eq!(got("my_task"), Some(Value::Null));
    assert_eq!(got("report"), task(hybrid, "post").output);

    shown(&rig, hybrid);

    began(sequential, "cut", 0);
    after(sequential, "fold", "cut");
    after(sequential, "stack", "fold");

    began(template, "sample", 400);
    after(template, "after", "sample");

    for at in [0, 300, 600, 900] {
        began(timed, &format!("at_{at}"), at);
    }
}

/// What a person reads of a run afterwards, with its picture.
fn shown(rig: &Rig, run: &RunRecord) {
    let svg = rig.state().with_extension("svg");
    let out = Command::new(env!("CARGO_BIN_EXE_setpoint"))
        .args(["run", "show", run.run.id.as_str(), "--format", "markdown", "--svg"])
        .arg(&svg)
        .arg("--repo")
        .arg(rig.work())
        .arg("--state-dir")
        .arg(rig.state())
        .output()
        .unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.contains("| task | due | started | late | took | tries | result |\n"), "{said}");
    assert!(said.contains("| ml\\_processing | 300 ms |"), "{said}");
    assert!(said.contains("| report | {"), "{said}");
    assert!(said.contains("```text\nhybrid\n") && said.contains('█'), "{said}");
    assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg"));
}
