//! Inner values in which every field is set, for the snapshots of the forms.

use crate::apply::StepResult;
use crate::daemon::status as of_daemon;
use crate::event::{Event, Fact};
use crate::model::{
    CommitId, ContainerId, DeploymentName, FileEntry, FileKind, FileTree, Health, HealthReport, InstanceId, NodeName,
    Revision, RunId, Schedule, ScheduleName, TaskId, Timestamp,
};
use crate::plan::render::{ChangeRow, Detail, HeldRow, StepRow, View};
use crate::plan::{Disruption, Milestone, Need, Origin, PlanId, Sync};
use crate::schedule::preview::{Preview, preview};
use crate::schedule::{Cause, End, RunVerdict, SkipCause, TaskIndex, Verdict};
use crate::store::{DueKey, Recorded, RunRecord, RunRow, RunState, TaskRecord, TryRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(in crate::api) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

pub(in crate::api) fn revision(commit: &str) -> Revision {
    Revision {
        commit: CommitId::new(commit),
        reference: "main".to_owned(),
        summary: "api 1.5".to_owned(),
        author: "A <a@example.org>".to_owned(),
        time: at(0),
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn instance() -> InstanceId {
    "shop/api/1".parse().unwrap()
}

fn report() -> HealthReport {
    HealthReport { verdict: text("exited (1)"), log: vec![text("boom")], check: Some(text("connection refused")) }
}

pub(super) fn status() -> of_daemon::Status {
    of_daemon::Status {
        version: of_daemon::Status::VERSION,
        daemon: Some(of_daemon::DaemonStatus {
            version: text("0.1.0"),
            pid: 7,
            started_at: at(0),
            installation: text("3f2a91c0"),
        }),
        environment: Some(text("prod")),
        source: of_daemon::SourceStatus {
            address: text("/infra"),
            reachable: Some(false),
            error: Some(text("no route")),
            fetched_at: Some(at(1)),
            next_try: Some(at(2)),
        },
        engine: of_daemon::EngineStatus {
            reachable: Some(true),
            error: Some(text("timeout")),
            missing: vec![text("networks")],
        },
        revision: of_daemon::RevisionStatus {
            head: Some(revision("aaaa")),
            wanted: Some(revision("bbbb")),
            applied: Some(revision("cccc")),
            rejected: Some(of_daemon::Rejected { revision: revision("aaaa"), mistakes: 2, report: text("a.yaml:1") }),
        },
        sync: Some(Sync::Degraded),
        verdict: Some(text("1 to replace")),
        plan: Some(text("7c1e42ab90d1")),
        applying: Some(of_daemon::Applying {
            plan: text("7c1e42ab90d1"),
            ended: 1,
            steps: 3,
            running: BTreeSet::from([text("shop/api/1")]),
            since: at(3),
        }),
        held: vec![of_daemon::HeldStatus {
            subject: text("shop/db/1"),
            wanted: text("remove"),
            why: text("beyond the prune budget"),
            release: Some(text("setpoint apply --allow prune:shop/db")),
            changes: vec![text("image: a → b")],
        }],
        waiting: vec![of_daemon::WaitingStatus { subject: text("shop/api/1"), tried: 2, at: at(4) }],
        deployments: [Sync::InSync, Sync::Progressing, Sync::Held, Sync::Refused, Sync::Unknown]
            .map(|sync| of_daemon::DeploymentStatus {
                name: DeploymentName::new(sync.as_str()),
                sync: Some(sync),
                suspended: sync == Sync::Held,
            })
            .into(),
        instances: [Health::Unchecked, Health::Starting, Health::Healthy, Health::Unhealthy]
            .map(|health| of_daemon::InstanceStatus {
                instance: instance(),
                name: Some(text("shop-api-1")),
                container: Some(text("0123456789ab")),
                state: text("running"),
                health,
                revision: Some(CommitId::new(text("bbbb"))),
                since: at(5),
                drift: vec![text("memory: 1g → 2g")],
                quarantined: Some(text("exited (1)")),
                wanted: true,
            })
            .into(),
        problem: Some(text("the store does not work")),
        waits_for: Some(text("setpoint apply (pid 9)")),
        reconciled_at: Some(at(6)),
        age_ms: Some(1500),
    }
}

/// One event of each kind.
pub(super) fn events() -> Vec<Recorded> {
    let (plan, subject, action) = (|| text("7c1e42ab90d1"), || text("shop/api/1"), || text("replace"));
    let facts = [
        Fact::DaemonStarted { version: text("0.1.0") },
        Fact::DaemonStopped,
        Fact::RevisionSeen { revision: revision("bbbb") },
        Fact::RevisionRejected { revision: revision("aaaa"), mistakes: 2, report: text("a.yaml:1") },
        Fact::SourceUnreachable { error: text("no route") },
        Fact::SourceReachable,
        Fact::PlanMade {
            plan: PlanId::new(plan()),
            revision: CommitId::new(text("bbbb")),
            verdict: text("1 to replace"),
        },
        Fact::PlanRefused { plan: PlanId::new(plan()), violations: vec![text("two steps")] },
        Fact::ApplyFinished {
            plan: PlanId::new(plan()),
            revision: CommitId::new(text("bbbb")),
            done: 1,
            failed: 2,
            skipped: 3,
        },
        Fact::EngineWarned { subject: subject().parse().unwrap(), warning: text("no swap") },
        Fact::StepStarted {
            plan: PlanId::new(plan()),
            subject: subject().parse().unwrap(),
            action: action(),
            reason: text("image"),
            changes: vec![text("image: a → b")],
        },
        Fact::StepDone {
            plan: PlanId::new(plan()),
            subject: subject().parse().unwrap(),
            action: action(),
            millis: 900,
            evidence: Some(text("healthy")),
        },
        Fact::StepFailed {
            plan: PlanId::new(plan()),
            subject: subject().parse().unwrap(),
            action: action(),
            error: text("exited (1)"),
            report: Some(report()),
            rolled_back: true,
        },
        Fact::StepSkipped {
            plan: PlanId::new(plan()),
            subject: subject().parse().unwrap(),
            because: text("it needs shop/db/1"),
        },
        Fact::InstanceChanged {
            instance: instance(),
            container: Some(ContainerId::new(text("0123456789ab"))),
            old: Some(text("absent")),
            new: text("running"),
            why: text("seen on the engine"),
            revision: Some(CommitId::new(text("bbbb"))),
        },
        Fact::DriftFound { subject: subject().parse().unwrap(), changes: vec![text("memory: 1g → 2g")] },
        Fact::Quarantined { instance: instance(), revision: CommitId::new(text("bbbb")), verdict: text("exited (1)") },
        Fact::Suspended { deployment: DeploymentName::new("shop") },
        Fact::Resumed { deployment: DeploymentName::new("shop") },
        Fact::RunBegun {
            run: RunId::new(text("r1")),
            schedule: ScheduleName::new("nightly"),
            revision: CommitId::new(text("bbbb")),
        },
        Fact::RunLeftOut {
            schedule: ScheduleName::new("nightly"),
            due: text("2026-03-01T06:00:00Z"),
            count: 3,
            because: text("an earlier run has not ended"),
        },
        Fact::RunEnded {
            run: RunId::new(text("r1")),
            schedule: ScheduleName::new("nightly"),
            verdict: crate::event::RunEnd::Failed,
            note: Some(text("late")),
        },
    ];
    let recorded = (1..).zip(facts).map(|(id, fact)| Recorded {
        id,
        environment: text("prod"),
        event: Event { at: at(id), fact },
    });
    recorded.collect()
}

pub(super) fn why() -> crate::daemon::why::Why {
    use crate::daemon::why::{End, Link, Verdict, Why};
    let link = |end: End| Link {
        at: at(1),
        plan: PlanId::new(text("7c1e42ab90d1")),
        revision: Some(CommitId::new(text("bbbb"))),
        summary: Some(text("api 1.5")),
        action: text("replace"),
        reason: text("image"),
        changes: vec![text("image: a → b")],
        end,
    };
    Why {
        version: 1,
        instance: instance(),
        now: Some(crate::store::InstanceRow {
            node: NodeName::local(),
            instance: instance(),
            container: Some(crate::model::ContainerId::new("0123456789abcdef")),
            state: text("running"),
            health: Health::Healthy,
            revision: Some(CommitId::new(text("bbbb"))),
            since: at(2),
        }),
        revision: Some(revision("bbbb")),
        quarantine: Some(Verdict { revision: CommitId::new(text("aaaa")), verdict: text("exited (1)") }),
        links: vec![
            link(End::Done { millis: 900, evidence: Some(text("healthy")) }),
            link(End::Failed { error: text("exited (1)"), report: Some(report()), rolled_back: true }),
            link(End::Skipped { because: text("it needs shop/db/1") }),
            link(End::Open),
        ],
        history: vec![crate::store::Transition {
            at: at(3),
            container: Some(crate::model::ContainerId::new("0123456789abcdef")),
            old: Some(text("absent")),
            new: text("running"),
            why: text("seen on the engine"),
            revision: Some(CommitId::new(text("bbbb"))),
        }],
    }
}

pub(super) fn plan() -> View {
    let costs = [
        Disruption::None,
        Disruption::InPlace,
        Disruption::Restart,
        Disruption::RecreateStartFirst,
        Disruption::RecreateDowntime,
        Disruption::DataLoss,
    ];
    let step = |(id, disruption): (usize, Disruption)| StepRow {
        id,
        disruption,
        action: "replace",
        subject: text("shop/api/1"),
        reason: text("image"),
        needs: vec![Need { step: 0, until: Milestone::Started }, Need { step: 1, until: Milestone::Done }],
        wave: 2,
    };
    let change = |origin: Origin| ChangeRow {
        sign: '~',
        field: text("image"),
        old: text("api:1.4"),
        new: text("api:1.5"),
        origin,
        at: Some(text("deployments/shop.yaml:12")),
    };
    View {
        version: View::VERSION,
        id: text("7c1e42ab90d1"),
        digest: text("7c1e42ab90d1").repeat(6)[..64].to_owned(),
        environment: text("prod"),
        revision: revision("bbbb"),
        observed_at: at(1).to_string(),
        missing: vec![text("networks")],
        verdict: text("1 to replace"),
        unchanged: 4,
        steps: (0..).zip(costs).map(step).collect(),
        details: vec![Detail {
            subject: text("shop/api/1"),
            held: true,
            changes: [Origin::Git, Origin::Drift, Origin::Both].map(change).into(),
        }],
        waves: vec![text("shop/db/1"), text("shop/api/1")],
        held: vec![HeldRow {
            subject: text("shop/db/1"),
            wanted: "remove",
            why: text("beyond the prune budget"),
            release: Some(text("setpoint apply --allow prune:shop/db")),
        }],
    }
}

/// A result of each kind.
pub(super) fn results() -> Vec<StepResult> {
    vec![
        StepResult::Done { took: Duration::from_millis(900), evidence: Some(text("healthy")) },
        StepResult::Failed { error: text("exited (1)"), report: Some(report()), rolled_back: true, stale: true },
        StepResult::Skipped { because: text("it needs shop/db/1") },
    ]
}

/// A plan of as many steps as there are results.
pub(super) fn carried_plan() -> crate::plan::Plan {
    use crate::apply::testing::{plan_of, strategy};
    use crate::model::{OnFailure, StrategyKind};
    plan_of(3, &[("shop", strategy(StrategyKind::Parallel, 2, OnFailure::Rollback))])
}

pub(super) fn carried(plan: &crate::plan::Plan, applied: &crate::apply::Applied) -> crate::daemon::Carried {
    let steps = plan.steps.iter().zip(&applied.results).map(|(step, result)| crate::daemon::StepEnd {
        subject: step.subject.to_string(),
        action: step.action.verb().to_owned(),
        result: result.clone(),
    });
    crate::daemon::Carried {
        plan: plan.id.clone(),
        done: applied.done,
        failed: applied.failed,
        skipped: applied.skipped,
        superseded: applied.superseded,
        stopped: applied.stopped,
        steps: steps.collect(),
        held: status().held,
    }
}

/// A row in each state, with each verdict.
pub(super) fn runs() -> Vec<RunRow> {
    let row = |number: i64, due: DueKey, state: RunState, verdict: RunVerdict| RunRow {
        number,
        id: RunId::new(format!("r{number}")),
        schedule: ScheduleName::new("nightly"),
        due,
        revision: Some(CommitId::new(text("bbbb"))),
        strict: true,
        planned_at: at(1),
        started_at: Some(at(2)),
        state,
        verdict: Some(verdict),
        ended_at: Some(at(3)),
        note: Some(text("late")),
    };
    vec![
        row(1, DueKey::Instant(at(1)), RunState::Ended, RunVerdict::Succeeded),
        row(2, DueKey::Commit(CommitId::new(text("bbbb"))), RunState::Running, RunVerdict::Failed),
        row(3, DueKey::Manual(RunId::new(text("m1"))), RunState::Interrupted, RunVerdict::Aborted),
        row(4, DueKey::Manual(RunId::new(text("m2"))), RunState::Ended, RunVerdict::Cancelled),
    ]
}

/// A run with tasks of each verdict, and attempts of each end.
pub(super) fn record() -> RunRecord {
    let verdicts = [
        Verdict::Succeeded,
        Verdict::Failed(Cause::Reported),
        Verdict::Failed(Cause::Refused),
        Verdict::Failed(Cause::Unacknowledged),
        Verdict::Failed(Cause::Lost),
        Verdict::Failed(Cause::NoticeLost),
        Verdict::TimedOut(Cause::Deadline),
        Verdict::TimedOut(Cause::Timeout),
        Verdict::Cancelled,
        Verdict::Skipped(SkipCause::NeedFailed(TaskIndex(1))),
        Verdict::Skipped(SkipCause::NotNeeded(TaskIndex(2))),
        Verdict::Skipped(SkipCause::Overrun),
        Verdict::Skipped(SkipCause::Aborted),
    ];
    let attempt = |end: End| TryRecord {
        released_ns: 1,
        sent_ns: 2,
        armed: true,
        acknowledged_ns: Some(3),
        started_ns: Some(-4),
        ended_ns: Some(5),
        end: Some(end),
        error: Some(text("exit code 1")),
        remarks: vec![text("no real-time policy")],
        stdout: Some(text("out")),
        stderr: Some(text("err")),
    };
    let bare = TryRecord {
        armed: false,
        acknowledged_ns: None,
        started_ns: None,
        ended_ns: None,
        end: None,
        error: None,
        remarks: Vec::new(),
        stdout: None,
        stderr: None,
        ..attempt(End::Success)
    };
    let ends = [End::Success, End::Failure, End::Timeout, End::Cancelled].map(attempt);
    let task = |(index, verdict): (u32, Verdict)| TaskRecord {
        task_index: TaskIndex(index),
        task: TaskId::new(format!("t{index}")),
        occurrence: 1,
        count: 2,
        due_ns: Some(7),
        verdict: Some(verdict),
        missed_deadline: true,
        tries: if index == 0 { ends.clone().into() } else { vec![bare.clone()] },
        output: Some(serde_json::json!({ "rows": 3 })),
        output_bytes: Some(10),
    };
    RunRecord { run: runs().remove(0), tasks: (0..).zip(verdicts).map(task).collect(), left_out: 8 }
}

pub(super) fn figures() -> Vec<crate::store::TaskFigures> {
    use crate::store::{FigureKind, Figures, TaskFigures};
    [FigureKind::Lateness, FigureKind::Sent, FigureKind::Early, FigureKind::Duration, FigureKind::Overrun]
        .map(|kind| TaskFigures {
            task: TaskId::new("t0"),
            kind,
            figures: Figures { count: 1, p50_us: 2, p99_us: 3, max_us: 4, histogram: vec![1] },
            updated_at: at(5),
        })
        .into()
}

const AFTER: &str = r#"
schedule:
  name: nightly
  description: Every night
  start: {cron: "30 2 * * *", zone: Europe/Berlin}
  missed: {run_all: 3}
  overlap: queue
  jitter: 5m
  strict: true
  feasibility: error
  execution: graph
  tasks:
    - {id: warm-up, address: "task1:50051", scheduled_time: 10ms, estimated_duration: 40ms, deadline: 20ms}
    - id: sample
      command: [sample, --all]
      env: {MODE: fast}
      scheduled_time: 100ms
      period: 50ms
      count: 5
      deadline: 40ms
      deadline_from: run
      on_deadline: kill
      rt_policy: fifo
      rt_priority: 80
      cpu_affinity: 1
      max_retries: 2
      critical: true
      parameters: {gain: 2}
    - {id: log, address: "unix:/run/log.sock", protocol: map, depends_on: {sample: failure}, rt_policy: rr}
    - {id: stop, address: "tls://task1:50052", depends_on: [log, {task: sample, on: always}], on_deadline: abort, deadline: 1s,
       rt_policy: deadline, rt_runtime: 1ms, rt_deadline: 2ms, rt_period: 3ms}
"#;

const BEFORE: &str = r#"
schedule:
  name: nightly
  start: {cron: "0 6 * * *"}
  tasks:
    - {id: warm-up, address: "task1:50051", estimated_duration: 40ms}
    - {id: sample, command: [sample], scheduled_time: 100ms}
    - {id: clean, command: [clean]}
"#;

/// What a commit changes in schedules: each kind of change and of start.
pub(super) fn changes() -> Preview {
    let tasks = "tasks: [{id: a, command: [a]}]";
    let one = |name: &str, start: &str| format!("schedule:\n  name: {name}\n  start: {start}\n  {tasks}\n");
    let before = schedules(&[BEFORE, &one("legacy", "manual")]);
    let after = [
        one("by-hand", "manual"),
        one("each-commit", "on_commit"),
        one("passed", "{at: \"2026-03-01T06:00:00Z\"}"),
        one("once", "{at: \"2026-12-01T06:00:00Z\"}"),
    ];
    let after: Vec<&str> = after.iter().map(String::as_str).chain([AFTER]).collect();
    let (after, nowhere) = (schedules(&after), crate::schedule::Placed::default());
    let side = |schedules| crate::schedule::preview::Side { schedules, placed: &nowhere };
    preview(side(&before), side(&after), at(0))
}

/// A schedule with every setting.
pub(super) fn schedule() -> Schedule {
    schedules(&[AFTER]).into_values().next().unwrap()
}

fn schedules(files: &[&str]) -> BTreeMap<ScheduleName, Schedule> {
    let mut tree = FileTree::default();
    for (number, text) in files.iter().enumerate() {
        let entry = FileEntry {
            oid: String::new(),
            kind: FileKind::Regular,
            size: text.len() as u64,
            content: Some(text.as_bytes().into()),
        };
        tree.files.insert(format!("schedules/{number}.yaml"), entry);
    }
    crate::manifest::compile(&tree).unwrap_or_else(|report| panic!("{report}")).schedules
}
