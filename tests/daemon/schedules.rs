//! Committed schedules, run by the daemon: each due time once, whatever happens in between.

use crate::crash::Victim;
use crate::rig::{Rig, applied, kinds, rig, until};
use setpoint::daemon::Handle;
use setpoint::model::ScheduleName;
use setpoint::process::marked::find;
use setpoint::schedule::{RunVerdict, Verdict};
use setpoint::store::{Ledger, RunFilter, RunRecord, RunState, Store};
use std::time::{Duration, Instant};

fn ledger(rig: &Rig) -> Ledger {
    Store::open(&rig.state()).unwrap().ledger("default")
}

/// Every run of a schedule, oldest first.
fn runs(rig: &Rig, schedule: &str) -> Vec<RunRecord> {
    let ledger = ledger(rig);
    let filter = RunFilter { schedule: Some(ScheduleName::new(schedule)), ..RunFilter::default() };
    let rows = ledger.runs(&filter).unwrap();
    rows.iter().rev().map(|row| ledger.run(&row.id).unwrap().unwrap()).collect()
}

/// Those of them that have begun. One may be prepared when a daemon ends.
fn begun(rig: &Rig, schedule: &str) -> Vec<RunRecord> {
    runs(rig, schedule).into_iter().filter(|run| run.run.started_at.is_some()).collect()
}

/// Waits until a schedule has so many runs that have ended.
async fn ended(rig: &Rig, schedule: &str, count: usize) -> Vec<RunRecord> {
    let begin = Instant::now();
    loop {
        let runs = runs(rig, schedule);
        if runs.iter().filter(|run| run.run.state != RunState::Running).count() >= count {
            return runs;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{runs:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn commit(rig: &Rig, handle: &Handle, summary: &str, text: &str) {
    let commit = rig.commit_text(summary, text);
    until(handle, summary, |status| applied(status, &commit)).await;
}

/// Lines that the programs of a schedule wrote, one for each time they ran.
fn lines(path: &std::path::Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_starts_its_schedule_once_and_again_when_it_changes() {
    let Some(rig) = rig() else { return };
    let out = rig.state().with_extension("out");
    let text = |word: &str| {
        format!(
            "schedule:\n  name: greet\n  tasks:\n    - {{id: a, command: [sh, -c, 'echo {word} >> {}'], scheduled_time: 50ms}}\n    \
             - {{id: b, command: [sh, -c, 'echo \"{{\\\"n\\\": 1}}\"'], depends_on: a}}\n",
            out.display()
        )
    };
    rig.with(async |handle| {
        commit(&rig, handle, "first", &text("one")).await;
        let first = ended(&rig, "greet", 1).await;
        assert_eq!(first[0].run.verdict, Some(RunVerdict::Succeeded), "{first:#?}");
        assert_eq!(first[0].tasks[1].output, Some(serde_json::json!({"n": 1})));
        let revision = handle.status().revision.applied.unwrap().commit;
        assert_eq!(first[0].run.revision, Some(revision));

        // Another file changes: the schedule is as it was.
        std::fs::write(rig.work().join("README.md"), "x").unwrap();
        rig.git(&["add", "-A"]);
        rig.git(&["commit", "-q", "-m", "unrelated"]);
        let other = rig.git(&["rev-parse", "HEAD"]);
        until(handle, "the unrelated commit", |status| applied(status, &other)).await;
        commit(&rig, handle, "second", &text("two")).await;
        assert_eq!(ended(&rig, "greet", 2).await.len(), 2);
    })
    .await;
    // A restart of the daemon is no new commit.
    rig.with(async |handle| {
        until(handle, "the restart", |status| status.revision.applied.is_some()).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let kinds = kinds(handle).await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "run_begun").count(), 2, "{kinds:?}");
        assert_eq!(kinds.iter().filter(|kind| *kind == "run_ended").count(), 2, "{kinds:?}");
    })
    .await;
    assert_eq!(lines(&out), 2);
    assert_eq!(runs(&rig, "greet").len(), 2);
    assert!(!ledger(&rig).figures(&ScheduleName::new("greet")).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_schedule_fires_each_second_once_and_skips_what_overlaps() {
    let Some(rig) = rig() else { return };
    let out = rig.state().with_extension("out");
    let text = format!(
        "schedule:\n  name: every\n  start: {{cron: \"* * * * * *\"}}\n  tasks:\n    \
         - {{id: a, command: [sh, -c, 'echo x >> {}; sleep 1.3'], scheduled_time: 0}}\n",
        out.display()
    );
    rig.with(async |handle| {
        commit(&rig, handle, "first", &text).await;
        ended(&rig, "every", 2).await;
    })
    .await;
    let fires = ledger(&rig).fires(None, 100).unwrap();
    let mut due: Vec<String> = fires.iter().map(|fire| fire.due.to_string()).collect();
    let count = due.len();
    due.sort();
    due.dedup();
    assert_eq!(due.len(), count, "a due time was fired twice: {fires:#?}");
    let words: Vec<String> = fires
        .iter()
        .map(|fire| serde_json::to_value(fire.outcome).unwrap()["outcome"].as_str().unwrap().to_owned())
        .collect();
    let of = |word: &str| words.iter().filter(|other| *other == word).count();
    assert!(of("started") >= 2 && of("skipped") >= 2, "{words:?}");
    // One more may have been ordered, for a due time that the end of the daemon came before.
    let runs: Vec<RunRecord> = begun(&rig, "every");
    let began = runs.len();
    assert_eq!(lines(&out), began);
    assert!((began..=began + 1).contains(&of("started")), "{words:?}");
    for run in runs {
        let due: setpoint::model::Timestamp = run.run.due.to_string().parse().unwrap();
        let started = run.run.started_at.unwrap();
        assert!(started >= due, "early: {run:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_during_a_run_starts_nothing_twice_and_says_what_happened() {
    let Some(rig) = rig() else { return };
    let out = rig.state().with_extension("out");
    let text = format!(
        "schedule:\n  name: long\n  tasks:\n    - {{id: quick, command: [sh, -c, 'echo quick >> {0}'], scheduled_time: 0}}\n    \
         - {{id: slow, command: [sh, -c, 'echo slow >> {0}; sleep 2'], depends_on: quick}}\n    \
         - {{id: after, command: [sh, -c, 'echo after >> {0}'], depends_on: slow}}\n",
        out.display()
    );
    rig.commit_text("first", &text);
    let victim = Victim::start(&rig);
    let begin = Instant::now();
    while lines(&out) < 2 {
        assert!(begin.elapsed() < Duration::from_secs(30), "the run never began");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What happened is written down twice a second.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    drop(victim);
    rig.with(async |handle| {
        until(handle, "the restart", |status| status.revision.applied.is_some()).await;
        let runs = ended(&rig, "long", 1).await;
        let [run] = &runs[..] else { panic!("{runs:#?}") };
        assert_eq!((run.run.state, run.run.verdict), (RunState::Interrupted, Some(RunVerdict::Aborted)));
        assert!(run.run.note.as_deref().unwrap().contains("not restarted"), "{run:#?}");
        let verdicts: Vec<Option<Verdict>> = run.tasks.iter().map(|task| task.verdict).collect();
        assert_eq!(verdicts, [Some(Verdict::Succeeded), None], "{run:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    })
    .await;
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "quick\nslow\n");
    assert_eq!(runs(&rig, "long").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_runs_follow_each_other_also_after_a_restart() {
    let Some(rig) = rig() else { return };
    let out = rig.state().with_extension("out");
    let text = format!(
        "schedule:\n  name: line\n  start: {{cron: \"* * * * * *\"}}\n  overlap: queue\n  missed: skip\n  tasks:\n    \
         - {{id: a, command: [sh, -c, 'echo x >> {}; sleep 2'], scheduled_time: 0}}\n",
        out.display()
    );
    rig.with(async |handle| {
        commit(&rig, handle, "first", &text).await;
        ended(&rig, "line", 1).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
    })
    .await;
    let waiting = ledger(&rig).queued().unwrap();
    assert!(!waiting.is_empty(), "nothing waited when the daemon ended");
    rig.with(async |_| drop(ended(&rig, "line", 4).await)).await;
    let runs = begun(&rig, "line");
    for pair in runs.windows(2) {
        let (before, after) = (pair[0].run.ended_at.unwrap(), pair[1].run.started_at.unwrap());
        // The end is written down to the millisecond.
        assert!(after.as_millisecond() >= before.as_millisecond(), "two at once: {pair:#?}");
    }
    let due = |run: &RunRecord| run.run.due.to_string();
    assert!(runs.iter().any(|run| due(run) == waiting[0].due.to_string()), "{} was lost", waiting[0].due);
    let mut all: Vec<String> = runs.iter().map(due).collect();
    let in_order = all.is_sorted();
    all.dedup();
    assert!(in_order && all.len() == runs.len(), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_a_killed_daemon_are_ended_before_the_next_run_begins() {
    let Some(rig) = rig() else { return };
    let out = rig.state().with_extension("out");
    // What it started has left its process group, and it takes a while to end. Nobody reads what it says any more.
    let program = format!(
        "exec 2> /dev/null; echo begin >> {0}; trap 'sleep 0.5; echo end >> {0}; exit' TERM; setsid sleep 60 & wait",
        out.display()
    );
    let text = format!(
        "schedule:\n  name: beat\n  start: {{cron: \"* * * * * *\"}}\n  missed: skip\n  overlap: skip\n  tasks:\n    \
         - {{id: a, command: [sh, -c, \"{program}\"], scheduled_time: 0}}\n"
    );
    rig.commit_text("first", &text);
    let victim = Victim::start(&rig);
    let begin = Instant::now();
    while lines(&out) < 1 {
        assert!(begin.elapsed() < Duration::from_secs(30), "the run never began");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let first = begun(&rig, "beat").remove(0).run.id;
    drop(victim);
    assert_eq!(find("SETPOINT_RUN", first.as_str()).len(), 2, "a shell and what it started outlive the daemon");
    rig.with(async |_| {
        while lines(&out) < 3 {
            assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", std::fs::read_to_string(&out));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "begin\nend\nbegin\n", "two at once");
        assert!(find("SETPOINT_RUN", first.as_str()).is_empty(), "something of the first run was left");
    })
    .await;
    assert_eq!(runs(&rig, "beat")[0].run.state, RunState::Interrupted);
    // A daemon that ends in order leaves what left the process group of its program.
    begun(&rig, "beat")
        .iter()
        .flat_map(|run| find("SETPOINT_RUN", run.run.id.as_str()))
        .for_each(|left| left.kill().unwrap());
}
