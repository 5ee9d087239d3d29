//! Every form with every field, as programs read it.

use super::samples;
use super::*;
use crate::model::RunId;
use serde::Serialize;

fn json(form: &impl Serialize) -> String {
    serde_json::to_string_pretty(&serde_json::to_value(form).unwrap()).unwrap()
}

fn all<Inner, Form: From<Inner>>(inner: Vec<Inner>) -> Vec<Form> {
    inner.into_iter().map(Into::into).collect()
}

#[test]
fn status() {
    insta::assert_snapshot!(json(&Status::from(samples::status())));
}

#[test]
fn events() {
    insta::assert_snapshot!(json(&all::<_, Event>(samples::events())));
}

#[test]
fn why() {
    insta::assert_snapshot!(json(&Why::from(samples::why())));
}

#[test]
fn plan() {
    insta::assert_snapshot!(json(&Plan::from(&samples::plan())));
}

#[test]
fn results() {
    insta::assert_snapshot!(json(&all::<_, StepResult>(samples::results())));
}

#[test]
fn runs() {
    insta::assert_snapshot!(json(&all::<_, Run>(samples::runs())));
}

#[test]
fn record() {
    insta::assert_snapshot!(json(&RunRecord::from(samples::record())));
}

#[test]
fn figures() {
    insta::assert_snapshot!(json(&all::<_, TaskFigures>(samples::figures())));
}

#[test]
fn changes() {
    insta::assert_snapshot!(json(&Preview::from(&samples::changes())));
}

#[test]
fn schedule() {
    insta::assert_snapshot!(json(&Schedule::new(samples::schedule(), &crate::schedule::Placed::default())));
}

#[test]
fn orders_and_answers() {
    let plan = samples::carried_plan();
    let applied = crate::apply::Applied {
        results: samples::results(),
        done: 1,
        failed: 1,
        skipped: 1,
        superseded: true,
        stopped: true,
    };
    let asked = crate::daemon::timing::Asked {
        due: crate::store::DueKey::Manual(RunId::new("m1")),
        run: Some(RunId::new("r1")),
    };
    insta::assert_snapshot!(json(&(
        ApplyOrder { plan: "7c1e42ab90d1".to_owned(), allow: vec!["retry:shop/api".to_owned()] },
        Carried::from(samples::carried(&plan, &applied)),
        Outcome::new(&plan, &applied),
        RunAsked::from(asked),
        Accepted { changed: true },
        Problem { error: "no".to_owned(), code: "conflict".to_owned(), hint: Some("wait".to_owned()) },
        EventsPage { events: Vec::new(), next: 7 },
    )));
}

#[test]
fn what_commands_print() {
    let revision = || Revision::from(samples::revision("bbbb"));
    let plan = || Plan { steps: Vec::new(), details: Vec::new(), ..Plan::from(&samples::plan()) };
    let schedules = || Preview { schedules: Vec::new(), ..Preview::from(&samples::changes()) };
    let notice = crate::model::Notice {
        at: crate::model::Location { file: "a.yaml".into(), line: 3, column: 4 },
        text: "remark".to_owned(),
    };
    let content = Content { deployments: 1, services: 2, images: 3, schedules: 4, notices: vec![(&notice).into()] };
    let schedule = samples::schedule();
    let expected = crate::schedule::expected(&schedule);
    let tasks = || Occurrence::all(&schedule, &expected, &Default::default()).into_iter().take(1).collect();
    let line = crate::engine::LogLine {
        stream: crate::engine::LogStream::Stderr,
        at: Some(samples::at(1)),
        text: "boom".to_owned(),
    };
    let conducted = Conducted {
        version: 1,
        run: "r1".to_owned(),
        schedule: "nightly".to_owned(),
        started: samples::at(0),
        verdict: Some(RunVerdict::Failed),
        took_ns: Some(9),
        remarks: vec!["late".to_owned()],
        left_out: 2,
        tasks: tasks(),
    };
    insta::assert_snapshot!(json(&(
        Planned { plan: plan(), schedules: schedules() },
        Difference {
            version: 1,
            from: revision(),
            to: revision(),
            files: "--- a".to_owned(),
            plan: plan(),
            schedules: schedules(),
        },
        Validation {
            version: 1,
            valid: true,
            revision: Some(revision()),
            content: Some(content),
            mistakes: Vec::new()
        },
        Validation {
            version: 1,
            valid: false,
            revision: None,
            content: None,
            mistakes: vec![serde_json::json!({"code": "failed"})]
        },
        conducted,
        DryRun {
            version: 1,
            schedule: Schedule {
                tasks: Vec::new(),
                ..Schedule::new(schedule.clone(), &crate::schedule::Placed::default())
            },
            tasks: tasks()
        },
        LogLine::new("shop-api-1", line),
        Runs { version: 1, runs: Vec::new(), figures: Vec::new() },
    )));
}

#[test]
fn what_the_daemon_says_is_read_as_it_was_said() {
    fn same<T: Serialize + serde::de::DeserializeOwned>(form: &T) {
        let text = serde_json::to_string(form).unwrap();
        let read: T = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(form).unwrap());
    }
    same(&Status::from(samples::status()));
    same(&all::<_, Event>(samples::events()));
    same(&Why::from(samples::why()));
    same(&Plan::from(&samples::plan()));
    same(&all::<_, StepResult>(samples::results()));
    same(&all::<_, Run>(samples::runs()));
    same(&RunRecord::from(samples::record()));
    same(&all::<_, TaskFigures>(samples::figures()));
}
