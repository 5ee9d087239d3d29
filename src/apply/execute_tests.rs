use super::*;
use crate::apply::testing::{plan_of, strategy};
use crate::engine::{Interrupt, Interruption};
use crate::manifest::compile;
use crate::model::{
    ContainerId, Desired, FileEntry, FileKind, FileTree, HealthReport, Observed, OnFailure, StrategyKind, Timestamp,
};
use crate::plan::{Action, FieldChange, Milestone, Need, Origin, Reason, Subject};
use crate::store::{EventFilter, Ledger, Store};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;

struct Bench {
    _dir: tempfile::TempDir,
    ledger: Ledger,
    observed: Observed,
    stop: CancellationToken,
    superseded: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Store::open(dir.path()).unwrap().ledger("prod");
        let observed = Observed::empty(Timestamp::UNIX_EPOCH);
        let (stop, superseded) = (CancellationToken::new(), CancellationToken::new());
        Self { _dir: dir, ledger, observed, stop, superseded }
    }

    fn job<'a>(&'a self, plan: &'a Plan) -> Job<'a> {
        Job {
            plan,
            desired: None,
            observed: &self.observed,
            ledger: &self.ledger,
            kept: BTreeMap::new(),
            interrupt: Interrupt { superseded: self.superseded.clone(), stop: self.stop.clone() },
        }
    }

    /// `kind subject` of every event.
    fn log(&self) -> Vec<String> {
        let events = self.ledger.store().events(&EventFilter::default()).unwrap();
        let text = |event: &crate::store::Recorded| {
            let json = serde_json::to_value(event).unwrap();
            let subject = json["subject"].as_str().or(json["instance"].as_str()).unwrap_or_default();
            format!("{} {subject}", json["kind"].as_str().unwrap()).trim_end().to_owned()
        };
        events.iter().map(text).collect()
    }
}

fn parallel(count: usize, most: u32) -> Plan {
    plan_of(count, &[("shop", strategy(StrategyKind::Parallel, most, OnFailure::Rollback))])
}

fn gate_error(verdict: &str) -> ActError {
    let report = HealthReport { verdict: verdict.to_owned(), log: vec!["boom".to_owned()], check: None };
    ActError::Gate { report: Box::new(report), rolled_back: true }
}

#[tokio::test]
async fn every_fact_is_recorded_in_order() {
    let bench = Bench::new();
    let plan = parallel(1, 1);
    let shown = RefCell::new(Vec::new());
    let run = |_, news: mpsc::Sender<News>| async move {
        news.send(News::Line("pulling".to_owned())).await.unwrap();
        news.send(News::Reached(Milestone::Started)).await.unwrap();
        Ok(Outcome {
            container: Some(ContainerId::new("container0")),
            evidence: Some("healthy for 2s".to_owned()),
            ..Outcome::default()
        })
    };
    let job = bench.job(&plan);
    let applied = execute(&job, run, |progress| {
        shown.borrow_mut().push(format!("{:?}", progress.what).split(['(', ' ']).next().unwrap().to_owned());
    });
    let applied = applied.await.unwrap();
    assert_eq!((applied.done, applied.failed, applied.skipped), (1, 0, 0));
    assert_eq!(shown.into_inner(), ["Started", "Line", "Reached", "Ended"]);
    let expected =
        ["plan_made", "step_started shop/s0/1", "step_done shop/s0/1", "instance_changed shop/s0/1", "apply_finished"];
    assert_eq!(bench.log(), expected);
    assert_eq!(bench.ledger.instances().unwrap()[0].state, "running");
}

#[tokio::test]
async fn no_more_at_once_than_the_strategy_allows() {
    let bench = Bench::new();
    let plan = parallel(9, 3);
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (now, most) = (&now, &most);
    let run = |_, _| async move {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(Outcome::default())
    };
    let applied = execute(&bench.job(&plan), run, |_| {}).await.unwrap();
    assert_eq!(applied.done, 9);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_dependant_starts_when_the_other_has_started() {
    let bench = Bench::new();
    let mut plan = parallel(2, 2);
    plan.steps[1].needs = vec![Need { step: 0, until: Milestone::Started }];
    let other_began = CancellationToken::new();
    let token = &other_began;
    // Step 0 ends only after step 1 began: with a wait for `Done` this would hang.
    let run = |id, news: mpsc::Sender<News>| async move {
        if id == 0 {
            news.send(News::Reached(Milestone::Started)).await.unwrap();
            token.cancelled().await;
        } else {
            token.cancel();
        }
        Ok(Outcome::default())
    };
    let job = bench.job(&plan);
    let applied = tokio::time::timeout(Duration::from_secs(5), execute(&job, run, |_| {})).await.unwrap().unwrap();
    assert_eq!(applied.done, 2);
}

#[tokio::test]
async fn a_failure_is_recorded_with_its_evidence_and_the_rest_goes_on() {
    let bench = Bench::new();
    let mut plan = parallel(3, 3);
    plan.steps[1].needs = vec![Need { step: 0, until: Milestone::Done }];
    let run = |id, _| async move { if id == 0 { Err(gate_error("exited (1)")) } else { Ok(Outcome::default()) } };
    let applied = execute(&bench.job(&plan), run, |_| {}).await.unwrap();
    assert_eq!((applied.done, applied.failed, applied.skipped), (1, 1, 1));
    assert!(
        matches!(&applied.results[0], StepResult::Failed { rolled_back: true, error, .. } if error == "exited (1)")
    );
    let events = bench.ledger.events_about("shop/s0/1", 10).unwrap();
    let json = serde_json::to_value(events.last().unwrap()).unwrap();
    assert_eq!(json["report"]["log"][0], "boom");
    assert!(bench.log().contains(&"step_skipped shop/s1/1".to_owned()));
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_hand_and_starts_nothing() {
    let bench = Bench::new();
    let plan = parallel(3, 1);
    let stop = &bench.stop;
    let run = |_, _| async move {
        stop.cancel();
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(Outcome::default())
    };
    let applied = execute(&bench.job(&plan), run, |_| {}).await.unwrap();
    assert_eq!((applied.done, applied.skipped, applied.stopped), (1, 2, true));
    assert_eq!(applied.results[1], StepResult::Skipped { because: "stopped before it started".to_owned() });
}

#[tokio::test]
async fn a_newer_commit_ends_the_wait_and_is_no_failure() {
    let bench = Bench::new();
    let plan = parallel(2, 1);
    let superseded = &bench.superseded;
    let run = |_, _| async move {
        superseded.cancel();
        Err(ActError::Interrupted(Interruption::Superseded))
    };
    let applied = execute(&bench.job(&plan), run, |_| {}).await.unwrap();
    assert_eq!((applied.failed, applied.skipped, applied.superseded), (0, 2, true));
    assert!(bench.ledger.memory(clock::now()).unwrap().quarantine.is_empty());
}

/// A repo that wants the instance `shop/s0/1`.
fn wanted() -> Desired {
    let content = &b"services: [{id: s0, image: nginx}]\n"[..];
    let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size: 35, content: Some(content.into()) };
    let mut tree = FileTree::default();
    tree.files.insert("deployments/shop.yaml".to_owned(), entry);
    compile(&tree).unwrap()
}

/// Also under `continue`, where the new container takes the place of the old one all the same: it would be started again and again.
#[tokio::test]
async fn settings_that_failed_their_gate_are_not_tried_again_whatever_a_failure_leads_to() {
    let desired = wanted();
    for policy in [OnFailure::Rollback, OnFailure::Halt, OnFailure::Continue] {
        let bench = Bench::new();
        let plan = plan_of(1, &[("shop", strategy(StrategyKind::Parallel, 1, policy))]);
        let job = Job { desired: Some(&desired), ..bench.job(&plan) };
        execute(&job, |_, _| async { Err(gate_error("exited (1)")) }, |_| {}).await.unwrap();
        let quarantine = bench.ledger.memory(clock::now()).unwrap().quarantine;
        let failed: Vec<_> = quarantine.iter().map(|one| (one.instance.to_string(), one.verdict.as_str())).collect();
        assert_eq!(failed, [("shop/s0/1".to_owned(), "exited (1)")], "{policy:?}");
    }
}

fn more_memory(origin: Origin) -> FieldChange {
    FieldChange {
        field: crate::model::Field::one(crate::model::FieldKind::Memory),
        old: Some("1GiB".to_owned()),
        new: Some("2GiB".to_owned()),
        origin,
        at: None,
        hidden: false,
    }
}

/// Repairs that an engine refuses while it is shut down or out of space would hold for half an hour what only waits for it.
#[tokio::test]
async fn a_repair_that_the_engine_refused_does_not_count_and_one_that_failed_its_gate_does() {
    let bench = Bench::new();
    let mut plan = parallel(2, 2);
    for step in &mut plan.steps {
        step.changes = vec![more_memory(Origin::Drift)];
    }
    let (refused, subject) = (plan.steps[0].id, plan.steps[1].subject.to_string());
    for times in 1..4 {
        let run = |id, _| async move {
            Err(if id == refused { ActError::Stale("the engine ends".to_owned()) } else { gate_error("exited (1)") })
        };
        execute(&bench.job(&plan), run, |_| {}).await.unwrap();
        let repairs = bench.ledger.memory(clock::now()).unwrap().repairs;
        assert_eq!(repairs.iter().map(|repair| &repair.subject).collect::<Vec<_>>(), vec![&subject; times]);
    }
}

#[tokio::test]
async fn what_is_in_place_is_remembered_and_a_repair_counted() {
    let bench = Bench::new();
    let mut plan = parallel(2, 2);
    plan.steps[0].changes = vec![more_memory(Origin::Git)];
    plan.steps[1].changes = vec![more_memory(Origin::Drift)];
    let run = |_, _| async { Ok(Outcome::default()) };
    execute(&bench.job(&plan), run, |_| {}).await.unwrap();
    let memory = bench.ledger.memory(clock::now()).unwrap();
    let digests = &memory.bases["container0"];
    assert_eq!(digests.asked["memory"], crate::model::digest("2GiB"));
    assert_eq!(memory.repairs.len(), 1);
    assert_eq!(memory.repairs[0].subject, "shop/s1/1");
}

#[tokio::test]
async fn what_was_removed_is_no_longer_known() {
    let bench = Bench::new();
    let mut plan = parallel(1, 1);
    let run = |_, _| async { Ok(Outcome { container: Some(ContainerId::new("container0")), ..Outcome::default() }) };
    execute(&bench.job(&plan), run, |_| {}).await.unwrap();
    assert_eq!(bench.ledger.memory(clock::now()).unwrap().known.len(), 1);
    let container = ContainerId::new("container0");
    plan.steps[0].action = Action::RemoveInstance { container, grace: Duration::from_secs(1) };
    plan.steps[0].reason = Reason::Dropped;
    execute(&bench.job(&plan), run, |_| {}).await.unwrap();
    assert!(bench.ledger.memory(clock::now()).unwrap().known.is_empty());
    assert!(
        matches!(&plan.steps[0].subject, Subject::Instance(_, id) if bench.ledger.history(id, 9).unwrap().len() == 2)
    );
}

mod random {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Whatever fails, stops or is superseded: apply ends, with one result for each step, and every started step has
        /// its end recorded.
        #[test]
        fn every_step_ends_once(fates in proptest::collection::vec(0u8..5, 0..12), most in 1u32..4, stop_at in 0usize..14) {
            let bench = Bench::new();
            let mut plan = parallel(fates.len(), most);
            for step in plan.steps.iter_mut().skip(2).step_by(2) {
                step.needs = vec![Need { step: step.id - 2, until: Milestone::Done }];
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (stop, fates) = (&bench.stop, &fates);
            let run = |id: StepId, _| async move {
                if id == stop_at {
                    stop.cancel();
                }
                tokio::task::yield_now().await;
                match fates[id] {
                    0 => Err(gate_error("exited (1)")),
                    1 => Err(ActError::Stale("gone".to_owned())),
                    _ => Ok(Outcome::default()),
                }
            };
            let applied = runtime.block_on(async {
                let job = bench.job(&plan);
                tokio::time::timeout(Duration::from_secs(10), execute(&job, run, |_| {})).await
            });
            let applied = applied.expect("it hangs").unwrap();
            prop_assert_eq!(applied.results.len(), fates.len());
            prop_assert_eq!(applied.done + applied.failed + applied.skipped, fates.len());
            let log = bench.log();
            let count = |kind: &str| log.iter().filter(|line| line.starts_with(kind)).count();
            prop_assert_eq!(count("step_started"), count("step_done") + count("step_failed"));
            prop_assert_eq!(count("step_skipped"), applied.skipped);
            prop_assert_eq!(count("apply_finished"), 1);
        }
    }
}
