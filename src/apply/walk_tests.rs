use super::*;
use crate::apply::testing::{plan_of, strategy};
use crate::plan::Need;
use proptest::prelude::*;

/// What a made-up step does: which deployment, what it needs, whether it works, whether it is an image step.
#[derive(Clone, Debug)]
struct Made {
    deployment: usize,
    needs: Vec<(usize, bool)>,
    works: bool,
    image: bool,
}

fn made(index: usize) -> impl Strategy<Value = Made> {
    let needs = proptest::collection::vec((0..index.max(1), any::<bool>()), 0..3);
    (0usize..3, needs, prop::bool::weighted(0.8), prop::bool::weighted(0.1)).prop_map(
        move |(deployment, needs, works, image)| {
            let needs = if index == 0 { Vec::new() } else { needs };
            Made { deployment, needs, works, image }
        },
    )
}

fn many() -> impl Strategy<Value = Vec<Made>> {
    (0usize..14).prop_flat_map(|count| (0..count).map(made).collect::<Vec<_>>())
}

fn built(steps: &[Made]) -> Plan {
    let strategies = [
        ("a", strategy(StrategyKind::Sequential, 1, OnFailure::Rollback)),
        ("b", strategy(StrategyKind::Parallel, 2, OnFailure::Halt)),
        ("c", strategy(StrategyKind::Parallel, 3, OnFailure::Continue)),
    ];
    let mut plan = plan_of(steps.len(), &strategies);
    for (step, made) in plan.steps.iter_mut().zip(steps) {
        step.deployment = Some(DeploymentName::new(["a", "b", "c"][made.deployment]));
        let until = |started: bool| if started { Milestone::Started } else { Milestone::Done };
        step.needs = made.needs.iter().map(|(on, started)| Need { step: *on, until: until(*started) }).collect();
        if made.image {
            step.action = Action::PullImage { reference: format!("image{}", step.id), also_tag: None };
        }
    }
    plan
}

proptest! {
    /// `dice` decides which of the running steps gets news next. Whatever the order: limits and needs hold, every step
    /// gets exactly one result, and the walk ends.
    #[test]
    fn limits_and_needs_hold_and_the_walk_ends(
        steps in many(),
        dice in proptest::collection::vec(any::<u8>(), 64),
        stop_at in proptest::option::of(0usize..20),
    ) {
        let plan = built(&steps);
        let mut walk = Walk::new(&plan, BTreeMap::new());
        let (mut running, mut results, mut started) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut stopped = false;
        for turn in 0..200 {
            if stop_at == Some(turn) {
                walk.stop("asked to");
                stopped = true;
            }
            let moves = walk.moves();
            for id in moves.start {
                prop_assert!(!stopped, "nothing starts after the stop");
                for need in &plan.steps[id].needs {
                    let far = results.get(&need.step) == Some(&true)
                        || (need.until == Milestone::Started && started.contains(&need.step));
                    prop_assert!(far, "{id} started before {}", need.step);
                }
                running.push(id);
            }
            for (id, _) in moves.skip {
                prop_assert!(results.insert(id, false).is_none(), "{id} has two results");
            }
            for (name, most) in [("a", 1), ("b", 2), ("c", 3)] {
                let of = |id: &&StepId| {
                    plan.steps[**id].deployment.as_ref().is_some_and(|it| it.as_str() == name) && !steps[**id].image
                };
                prop_assert!(running.iter().filter(of).count() <= most, "too many steps of {name} at once");
            }
            prop_assert!(running.iter().filter(|id| steps[**id].image).count() <= IMAGES_AT_ONCE);
            if running.is_empty() {
                break;
            }
            let roll = usize::from(dice[turn % dice.len()]);
            let chosen = running[roll % running.len()];
            if roll % 3 == 0 && started.insert(chosen) {
                walk.reached(chosen, Milestone::Started);
            } else {
                running.retain(|id| *id != chosen);
                started.remove(&chosen);
                walk.finished(chosen, steps[chosen].works);
                prop_assert!(results.insert(chosen, steps[chosen].works).is_none(), "{chosen} has two results");
            }
        }
        prop_assert!(walk.is_over(), "the walk got stuck");
        prop_assert_eq!(results.len(), plan.steps.len());
    }
}

#[test]
fn sequential_keeps_the_plans_order() {
    let mut plan = plan_of(3, &[("shop", strategy(StrategyKind::Sequential, 1, OnFailure::Rollback))]);
    plan.steps[0].deployment = None;
    plan.steps[1].needs = vec![Need { step: 0, until: Milestone::Done }];
    let mut walk = Walk::new(&plan, BTreeMap::new());
    assert_eq!(walk.moves().start, [0], "2 is ready, and its turn comes after 1");
    walk.finished(0, true);
    assert_eq!(walk.moves().start, [1]);
    assert_eq!(walk.moves().start, [0usize; 0]);
    walk.finished(1, true);
    assert_eq!(walk.moves().start, [2]);
}

#[test]
fn a_late_ready_step_waits_for_room() {
    let mut plan = plan_of(4, &[("shop", strategy(StrategyKind::Parallel, 2, OnFailure::Continue))]);
    plan.steps[0].deployment = None;
    plan.steps[1].needs = vec![Need { step: 0, until: Milestone::Done }];
    let mut walk = Walk::new(&plan, BTreeMap::new());
    assert_eq!(walk.moves().start, [0, 2, 3]);
    walk.finished(0, true);
    assert!(walk.moves().start.is_empty(), "2 and 3 are still under way");
    walk.finished(3, true);
    assert_eq!(walk.moves().start, [1]);
}

#[test]
fn a_failure_blocks_what_needs_it_and_says_so() {
    let mut plan = plan_of(4, &[("shop", strategy(StrategyKind::Parallel, 4, OnFailure::Continue))]);
    plan.steps[1].needs = vec![Need { step: 0, until: Milestone::Started }];
    plan.steps[2].needs = vec![Need { step: 1, until: Milestone::Done }];
    let mut walk = Walk::new(&plan, BTreeMap::new());
    assert_eq!(walk.moves().start, [0, 3]);
    walk.finished(0, false);
    let skip = walk.moves().skip;
    assert_eq!(skip[0], (1, "needs shop/s0/1, which failed".to_owned()));
    assert_eq!(skip[1], (2, "needs shop/s1/1, which was skipped".to_owned()));
}

#[test]
fn halt_starts_no_further_step_of_its_deployment() {
    let halt = strategy(StrategyKind::Parallel, 1, OnFailure::Halt);
    let mut plan = plan_of(3, &[("shop", halt), ("web", strategy(StrategyKind::Parallel, 1, OnFailure::Halt))]);
    plan.steps[2].deployment = Some(DeploymentName::new("web"));
    let mut walk = Walk::new(&plan, BTreeMap::new());
    assert_eq!(walk.moves().start, [0, 2]);
    walk.finished(0, false);
    assert_eq!(walk.moves().skip, [(1, "halted because shop/s0/1 failed".to_owned())]);
    walk.finished(2, true);
    assert!(walk.moves().skip.is_empty() && walk.is_over());
}

#[test]
fn what_is_left_out_blocks_what_needs_it() {
    let mut plan = plan_of(2, &[("shop", strategy(StrategyKind::Parallel, 4, OnFailure::Continue))]);
    plan.steps[1].needs = vec![Need { step: 0, until: Milestone::Done }];
    let mut walk = Walk::new(&plan, BTreeMap::from([(0, "tried again in 3 s".to_owned())]));
    let moves = walk.moves();
    assert!(moves.start.is_empty());
    assert_eq!(moves.skip.len(), 2);
    assert_eq!(moves.skip[0].1, "tried again in 3 s");
}

#[test]
fn serial_builds_follow_each_other_and_pulls_do_not_care() {
    let mut plan = plan_of(4, &[("shop", strategy(StrategyKind::Parallel, 4, OnFailure::Rollback))]);
    for step in &mut plan.steps {
        step.action = if step.id < 2 {
            Action::BuildImage(crate::model::ImageBuild {
                repository: format!("shop/s{}", step.id),
                tag: "latest".to_owned(),
                context: ".".to_owned(),
                dockerfile: "Dockerfile".to_owned(),
                args: BTreeMap::new(),
                target: None,
                no_cache: false,
                digest: "aa".to_owned(),
                files: std::sync::Arc::new([]),
            })
        } else {
            Action::PullImage { reference: format!("image{}", step.id), also_tag: None }
        };
    }
    let mut walk = Walk::new(&plan, BTreeMap::new()).with_serial_builds(BTreeSet::from([DeploymentName::new("shop")]));
    assert_eq!(walk.moves().start, [0, 2, 3]);
    walk.finished(0, true);
    assert_eq!(walk.moves().start, [1]);
    let mut parallel = Walk::new(&plan, BTreeMap::new());
    assert_eq!(parallel.moves().start, [0, 1, 2, 3]);
}
