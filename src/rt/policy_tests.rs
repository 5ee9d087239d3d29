use super::*;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::thread;

const FIFO: RtPolicy = RtPolicy::Fifo { priority: 40 };
const DEADLINE: RtPolicy = RtPolicy::Deadline {
    runtime: Duration::from_micros(100),
    deadline: Duration::from_millis(5),
    period: Duration::from_millis(10),
};

/// Runs on a thread of its own, because settings stay with the thread.
fn alone<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join().unwrap())
}

/// Whether a real-time policy is permitted here; says so when it is not.
fn permitted() -> bool {
    let policy = alone(|| apply(RealTime { policy: FIFO, cpu: None }).policy);
    if let Err(refused) = &policy {
        eprintln!("skipped: {refused}");
    }
    policy.is_ok()
}

fn drop_sys_nice() {
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::SYS_NICE);
    set_capabilities(None, sets).unwrap();
}

#[test]
fn each_policy_is_in_force_after_it_was_applied() {
    if !permitted() {
        return;
    }
    for policy in [FIFO, RtPolicy::RoundRobin { priority: 1 }, RtPolicy::Fifo { priority: 99 }, DEADLINE] {
        let (applied, current) = alone(|| (apply(RealTime { policy, cpu: None }), current().unwrap()));
        assert_eq!(applied.refusals().count(), 0, "{applied:?}");
        assert_eq!(current.policy, policy);
    }
}

#[test]
fn the_other_policy_ends_a_real_time_one() {
    if !permitted() {
        return;
    }
    let (before, after) = alone(|| {
        let _ = apply(RealTime { policy: FIFO, cpu: None });
        let before = current().unwrap().policy;
        assert_eq!(apply(RealTime { policy: RtPolicy::Other, cpu: None }).policy, Ok(()));
        (before, current().unwrap().policy)
    });
    assert_eq!((before, after), (FIFO, RtPolicy::Other));
}

#[test]
fn a_child_does_not_inherit_the_policy() {
    if !permitted() {
        return;
    }
    for policy in [FIFO, DEADLINE] {
        let child = alone(|| {
            let applied = apply(RealTime { policy, cpu: None });
            assert_eq!(applied.policy, Ok(()));
            alone(|| current().unwrap().policy)
        });
        assert_eq!(child, RtPolicy::Other);
    }
}

#[test]
fn a_cpu_binds_and_slack_is_a_nanosecond_without_any_right() {
    let cpu = *current().unwrap().cpus.last().unwrap();
    let (applied, current) = alone(|| {
        let applied = apply(RealTime { policy: RtPolicy::Other, cpu: Some(cpu) });
        (applied, current().unwrap())
    });
    assert_eq!(applied.refusals().count(), 0, "{applied:?}");
    assert_eq!(current, InForce { policy: RtPolicy::Other, cpus: vec![cpu], slack: Duration::from_nanos(1) });
}

#[test]
fn a_cpu_that_is_not_there_is_refused_and_the_policy_still_tried() {
    for cpu in [1_000, u32::MAX] {
        let (applied, policy) = alone(|| {
            let applied = apply(RealTime { policy: FIFO, cpu: Some(cpu) });
            (applied, current().unwrap().policy)
        });
        let refused = applied.cpu.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.source), ("there is no such CPU online", Errno::INVAL));
        assert_eq!(applied.policy.is_ok(), policy == FIFO);
    }
}

#[test]
fn deadline_with_a_cpu_keeps_the_policy_and_refuses_the_cpu() {
    if !permitted() {
        return;
    }
    let cpus = current().unwrap().cpus;
    let (&cpu, true) = (cpus.first().unwrap(), cpus.len() > 1) else {
        eprintln!("skipped: one CPU");
        return;
    };
    let (applied, in_force) = alone(|| {
        let applied = apply(RealTime { policy: DEADLINE, cpu: Some(cpu) });
        (applied, current().unwrap())
    });
    assert_eq!(applied.policy, Ok(()));
    assert!(applied.cpu.unwrap_err().remedy.contains("leave `cpu` out"));
    assert_eq!((in_force.policy, in_force.cpus), (DEADLINE, cpus));
}

#[test]
fn deadline_on_a_bound_thread_names_the_affinity() {
    if !permitted() || current().unwrap().cpus.len() < 2 {
        eprintln!("skipped: not permitted or one CPU");
        return;
    }
    let cpu = current().unwrap().cpus.first().copied();
    let applied = alone(|| {
        assert_eq!(apply(RealTime { policy: RtPolicy::Other, cpu }).cpu, Ok(()));
        apply(RealTime { policy: DEADLINE, cpu: None })
    });
    let refused = applied.policy.unwrap_err();
    assert_eq!(refused.source, Errno::PERM);
    assert!(refused.reason.contains("must be allowed on all CPUs"), "{refused}");
}

#[test]
fn without_the_right_nothing_is_in_force_and_the_reason_says_so() {
    for policy in [RtPolicy::Fifo { priority: 99 }, RtPolicy::RoundRobin { priority: 99 }, DEADLINE] {
        let (applied, current) = alone(|| {
            drop_sys_nice();
            (apply(RealTime { policy, cpu: None }), current().unwrap())
        });
        let refused = applied.policy.unwrap_err();
        assert_eq!(refused.source, Errno::PERM);
        assert!(refused.reason.contains("CAP_SYS_NICE"), "{refused}");
        assert_eq!((applied.cpu, applied.slack), (Ok(()), Ok(())));
        assert_eq!(current.policy, RtPolicy::Other);
    }
}

#[test]
fn numbers_that_cannot_be_are_refused_as_such() {
    let zero = alone(|| apply(RealTime { policy: RtPolicy::Fifo { priority: 0 }, cpu: None }).policy);
    assert!(zero.unwrap_err().reason.contains("not a real-time priority"));
    let policy = RtPolicy::Deadline {
        runtime: Duration::from_millis(2),
        deadline: Duration::from_millis(1),
        period: Duration::from_millis(1),
    };
    assert!(alone(|| apply(RealTime { policy, cpu: None }).policy).unwrap_err().reason.contains("do not fit"));
}

/// Runs on a thread of its own that another one changes in between.
fn changed(settings: &[RealTime]) -> Vec<(Applied, InForce)> {
    use std::sync::mpsc::sync_channel;
    let (tell, told) = sync_channel(1);
    let (ask, asked) = sync_channel::<()>(1);
    let (answer, answered) = sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            tell.send(Thread::current()).unwrap();
            while asked.recv().is_ok() {
                answer.send(current().unwrap()).unwrap();
            }
        });
        let thread = told.recv().unwrap();
        let one = |wish: &RealTime| {
            let applied = thread.apply(*wish);
            ask.send(()).unwrap();
            (applied, answered.recv().unwrap())
        };
        let all = settings.iter().map(one).collect();
        drop(ask);
        all
    })
}

#[test]
fn settings_of_a_thread_follow_each_other_and_nothing_of_the_earlier_ones_stays() {
    if !permitted() {
        return;
    }
    let cpus = current().unwrap().cpus;
    let (bound, free) = (cpus.last().copied(), None);
    let other = RtPolicy::Other;
    let wishes = [(DEADLINE, free), (FIFO, bound), (DEADLINE, free), (other, bound), (FIFO, free), (other, free)];
    let wishes = wishes.map(|(policy, cpu)| RealTime { policy, cpu });
    for ((applied, in_force), wish) in changed(&wishes).into_iter().zip(wishes) {
        assert_eq!(applied.refusals().count(), 0, "{applied:?}");
        assert_eq!(in_force.policy, wish.policy);
        let expected = wish.cpu.map_or_else(|| cpus.clone(), |cpu| vec![cpu]);
        assert_eq!(in_force.cpus, expected, "{wish:?}");
    }
}

/// Something computes on a CPU, at a priority below that of a thread which is to run there. The one below computes until the
/// other has come through, and gives up before the kernel would let others in.
#[test]
fn a_thread_comes_to_a_cpu_on_which_a_lower_priority_computes() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;
    let cpus = current().unwrap().cpus;
    let (Some(&cpu), true) = (cpus.first(), permitted() && cpus.len() > 1) else {
        eprintln!("skipped: not permitted or one CPU");
        return;
    };
    let (computes, through) = (AtomicBool::new(false), AtomicBool::new(false));
    let came = thread::scope(|scope| {
        let below = scope.spawn(|| {
            let applied = apply(RealTime { policy: RtPolicy::Fifo { priority: 10 }, cpu: Some(cpu) });
            assert_eq!(applied.refusals().count(), 0);
            computes.store(true, Ordering::SeqCst);
            let begin = Instant::now();
            while !through.load(Ordering::SeqCst) && begin.elapsed() < Duration::from_millis(800) {
                std::hint::spin_loop();
            }
            through.load(Ordering::SeqCst)
        });
        scope.spawn(|| {
            while !computes.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_micros(100));
            }
            let applied = apply(RealTime { policy: FIFO, cpu: Some(cpu) });
            through.store(true, Ordering::SeqCst);
            assert_eq!(applied.refusals().count(), 0);
        });
        below.join().unwrap()
    });
    assert!(came, "it waited for what is below it");
}
