//! What must hold for every repo and every host.

use super::generate::{any_desired, owner, revision};
use crate::model::{
    ContainerId, Desired, Health, InstanceId, NEXT, NodeName, Observed, OwnerId, PREV, Restart, ServiceRef, Status,
    Timestamp,
};
use crate::plan::{
    Action, Allow, AllowedGuard, Memory, Origin, Plan, PlanInput, Subject, Violation, lint, plan, pretend, render,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn plan_of(desired: &Desired, observed: &Observed, memory: &Memory) -> Plan {
    let allow = [Allow { guard: AllowedGuard::Prune, scope: None }];
    let revision = revision();
    let owner = owner();
    let input = PlanInput { desired, revision: &revision, observed, owner: &owner, memory, allow: &allow };
    let plan = plan(&input);
    assert_eq!(lint(&plan, &input), Vec::<Violation>::new(), "lint finds nothing in {:#?}", plan.steps);
    plan
}

/// The host and the memory after a perfect apply, of which the engine would have refused nothing.
fn apply(plan: &Plan, observed: &Observed, memory: &Memory) -> (Observed, Memory) {
    let after = pretend(plan, observed, memory, &owner());
    assert_eq!(after.refused, Vec::<String>::new(), "{:#?}", plan.steps);
    (after.observed, after.memory)
}

fn empty() -> Observed {
    Observed::empty(Timestamp::UNIX_EPOCH)
}

/// A host on which some repo was applied.
fn settled(desired: &Desired) -> (Observed, Memory) {
    let (observed, memory) = (empty(), Memory::default());
    let first = plan_of(desired, &observed, &memory);
    apply(&first, &observed, &memory)
}

/// Something that a person does to a container behind our back.
#[derive(Clone, Copy, Debug)]
enum Meddling {
    Kill,
    Pause,
    Remove,
    Rename,
    Limit,
    Policy,
    Disconnect,
    Sicken,
    MakeNext,
    SetAside,
}

fn meddle(observed: &mut Observed, index: usize, how: Meddling) {
    let count = observed.containers.len();
    if count == 0 {
        return;
    }
    let index = index % count;
    let container = &mut observed.containers[index];
    match how {
        Meddling::Kill => container.status = Status::Exited { code: 137, oom: false },
        Meddling::Pause => container.status = Status::Paused,
        Meddling::Remove => {
            observed.containers.remove(index);
        }
        Meddling::Rename => container.name.push_str("-x"),
        Meddling::Limit => container.spec.resources.memory = Some(7 << 20),
        Meddling::Policy => container.spec.restart = Restart::No,
        Meddling::Disconnect => container.spec.networks.clear(),
        Meddling::Sicken => container.health = Health::Unhealthy,
        Meddling::MakeNext => {
            let mut next = container.clone();
            next.id = ContainerId::new(format!("{count}-{}", next.id));
            next.name.push_str(NEXT);
            next.status = Status::Created;
            if !observed.containers.iter().any(|one| one.name == next.name) {
                observed.containers.push(next);
            }
        }
        Meddling::SetAside => {
            if !container.name.ends_with(PREV) && !container.name.ends_with(NEXT) {
                container.name.push_str(PREV);
                container.status = Status::Exited { code: 143, oom: false };
            }
        }
    }
}

fn meddling() -> impl Strategy<Value = Meddling> {
    use Meddling::*;
    prop::sample::select(vec![Kill, Pause, Remove, Rename, Limit, Policy, Disconnect, Sicken, MakeNext, SetAside])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_after_a_perfect_apply_is_empty(desired in any_desired()) {
        let (observed, memory) = settled(&desired);
        let second = plan_of(&desired, &observed, &memory);
        prop_assert!(second.is_empty(), "{:#?}", second.steps);
        prop_assert!(second.held.is_empty(), "{:#?}", second.held);
    }

    #[test]
    fn any_repo_can_follow_any_other(first in any_desired(), then in any_desired()) {
        let (observed, memory) = settled(&first);
        let change = plan_of(&then, &observed, &memory);
        prop_assert!(change.held.is_empty(), "{:#?}", change.held);
        let (observed, memory) = apply(&change, &observed, &memory);
        let last = plan_of(&then, &observed, &memory);
        prop_assert!(last.is_empty(), "{:#?}", last.steps);
    }

    #[test]
    fn whatever_the_host_did_is_repaired(desired in any_desired(), acts in prop::collection::vec((any::<usize>(), meddling()), 0..5)) {
        let (mut observed, memory) = settled(&desired);
        for (index, how) in acts {
            meddle(&mut observed, index, how);
        }
        let mut memory = memory;
        // Putting a set-aside container back is a step of its own; what else it needs may follow in the next plan.
        for _ in 0..3 {
            let repair = plan_of(&desired, &observed, &memory);
            (observed, memory) = apply(&repair, &observed, &memory);
        }
        let last = plan_of(&desired, &observed, &memory);
        prop_assert!(last.is_empty(), "{:#?}", last.steps);
        let names: BTreeSet<_> = observed.containers.iter().map(|one| &one.name).collect();
        prop_assert_eq!(names.len(), observed.containers.len());
    }

    #[test]
    fn drift_is_told_from_git(desired in any_desired(), acts in prop::collection::vec((any::<usize>(), meddling()), 1..4)) {
        let (mut observed, memory) = settled(&desired);
        for (index, how) in acts {
            meddle(&mut observed, index, how);
        }
        for step in plan_of(&desired, &observed, &memory).steps {
            for change in step.changes {
                prop_assert_eq!(change.origin, Origin::Drift, "{}", render::change_line(&change));
            }
        }
    }

    #[test]
    fn equal_input_gives_an_equal_plan_in_any_order(first in any_desired(), then in any_desired(), seed in any::<u64>()) {
        let (observed, memory) = settled(&first);
        let one = plan_of(&then, &observed, &memory);
        let mut shuffled = observed.clone();
        let count = shuffled.containers.len();
        for index in 0..count {
            shuffled.containers.swap(index, (seed as usize).wrapping_mul(index + 7) % count);
        }
        let other = plan_of(&then, &shuffled, &memory);
        prop_assert_eq!(&one.id, &other.id);
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn half_a_look_removes_nothing(first in any_desired(), then in any_desired()) {
        let (mut observed, memory) = settled(&first);
        observed.missing.push("container shop-a-1: connection reset".to_owned());
        let plan = plan_of(&then, &observed, &memory);
        for step in &plan.steps {
            let removes = matches!(
                step.action,
                Action::RemoveInstance { .. } | Action::RemoveNetwork { .. } | Action::DiscardLeftover { .. }
            );
            prop_assert!(!removes, "{}", step.subject);
        }
    }

    #[test]
    fn foreign_containers_are_never_touched(first in any_desired(), then in any_desired(), every in 1usize..4) {
        let (mut observed, memory) = settled(&first);
        for (index, container) in observed.containers.iter_mut().enumerate() {
            if index % every == 0 {
                container.owner = Some(OwnerId::new("other/prod"));
            }
        }
        // Lint checks the ownership of all that is touched.
        plan_of(&then, &observed, &memory);
    }

    #[test]
    fn every_difference_ends_in_exactly_one_step_or_hold(first in any_desired(), then in any_desired()) {
        let (observed, memory) = settled(&first);
        let plan = plan_of(&then, &observed, &memory);
        let mut seen = BTreeSet::new();
        for subject in plan.steps.iter().map(|step| &step.subject).chain(plan.held.iter().map(|held| &held.subject)) {
            prop_assert!(seen.insert(subject.clone()), "{subject} twice");
        }
        let (wanted, there): (BTreeSet<_>, BTreeSet<_>) = (
            instances(&then),
            observed.containers.iter().filter_map(|one| one.instance.clone()).collect(),
        );
        for instance in wanted.symmetric_difference(&there) {
            prop_assert!(seen.contains(&Subject::Instance(NodeName::local(), instance.clone())), "{instance}");
        }
    }
}

fn instances(desired: &Desired) -> BTreeSet<InstanceId> {
    let services = desired.deployments.values().flat_map(|deployment| {
        deployment.services.iter().map(|service| {
            (ServiceRef { deployment: deployment.name.clone(), service: service.id.clone() }, service.replicas)
        })
    });
    services.flat_map(|(service, replicas)| (1..=replicas).map(move |slot| service.instance(slot))).collect()
}
