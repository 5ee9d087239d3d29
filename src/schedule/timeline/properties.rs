//! The invariants of a run, in worlds that lose, delay and double messages, refuse starts and go silent.

use super::fixtures::{MS, schedule, task};
use super::state::Phase;
use super::*;
use crate::model::{
    Deadline, DeadlineFrom, Need, On, OnDeadline, Release, Repeat, Schedule, Target, Task, TaskAddress,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// How the world treats one case.
#[derive(Clone, Copy, Debug)]
struct World {
    seed: u64,
    /// Of a hundred messages so many are lost.
    loss: u8,
    /// Of a hundred starts so many are refused.
    refusal: u8,
    /// Of a hundred tasks so many fail.
    failure: u8,
    /// Somebody ends the run then.
    cancel: Option<u64>,
    /// How far ahead requests are sent.
    lead: Option<u64>,
}

fn worlds() -> impl Strategy<Value = World> {
    let share = || prop_oneof![4 => Just(0u8), 3 => 1u8..40, 1 => Just(100u8)];
    (
        any::<u64>(),
        share(),
        share(),
        share(),
        prop::option::weighted(0.1, 0u64..40),
        prop::option::weighted(0.3, 1u64..6),
    )
        .prop_map(|(seed, loss, refusal, failure, cancel, lead)| World {
            seed,
            loss,
            refusal,
            failure,
            cancel,
            lead,
        })
}

/// Schedules of up to nine tasks in a span of some tens of milliseconds, on up to three servers and the local runner.
fn schedules() -> impl Strategy<Value = Schedule> {
    let on = prop_oneof![4 => Just(On::Success), 1 => Just(On::Failure), 1 => Just(On::Always)];
    let action =
        prop_oneof![Just(OnDeadline::Warn), Just(OnDeadline::Cancel), Just(OnDeadline::Kill), Just(OnDeadline::Abort)];
    let one = (
        prop::option::of(0u64..12),
        prop::option::weighted(0.3, (1u64..6, 1u32..6)),
        0u16..4,
        prop::collection::vec((0usize..9, on), 0..3),
        prop::option::weighted(0.4, (1u64..20, any::<bool>(), action)),
        0u8..3,
        0u32..3,
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(one, 1..10).prop_map(|specs| {
        let tasks = specs.into_iter().enumerate().map(|(at, spec)| {
            let (time, repeat, server, needs, deadline, priority, max_retries, critical) = spec;
            let mut needed = BTreeSet::new();
            Task {
                target: match server {
                    0 => Target::Command(vec!["true".to_owned()]),
                    port => Target::Address(TaskAddress::Tcp("localhost".to_owned(), port)),
                },
                release: match time {
                    None => Release::Sequential,
                    Some(time) => Release::Timed {
                        at: MS * time as u32,
                        repeat: repeat.map(|(period, count)| Repeat { period: MS * period as u32, count }),
                    },
                },
                needs: needs
                    .into_iter()
                    .filter(|(other, _)| *other < at && needed.insert(*other))
                    .map(|(other, on)| Need { on, ..need(other) })
                    .collect(),
                deadline: deadline.map(|(after, run, action)| Deadline {
                    after: MS * after as u32,
                    from: if run { DeadlineFrom::Run } else { DeadlineFrom::Release },
                    action,
                }),
                timeout: MS * 30,
                start_timeout: MS * 3,
                lease: MS * 8,
                grace: MS * 2,
                retry_delay: MS,
                priority,
                max_retries,
                critical,
                ..task(&format!("t{at}"))
            }
        });
        schedule(tasks.collect())
    })
}

fn need(at: usize) -> Need {
    Need { task: crate::model::TaskId::new(format!("t{at}")), on: On::Success, implied: false, at: schedule_location() }
}

fn schedule_location() -> crate::model::Location {
    crate::model::Location { file: "s.yaml".into(), line: 1, column: 1 }
}

/// Something that happens at a task server by itself.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The instant of what was sent ahead, or the end of what it waited for.
    Gate(Attempt, Duration),
    /// The request to take it back arrives.
    Disarm(Attempt),
}

/// How late a runner begins what was sent ahead.
const LATE: Duration = Duration::from_millis(5);

/// What the world does, and what the run did so far.
struct Play<'s> {
    schedule: &'s Schedule,
    world: World,
    random: fastrand::Rng,
    /// Messages under way, by arrival.
    mail: BTreeMap<(Duration, u64), Input>,
    sent: u64,
    /// What happens at task servers by itself.
    events: BTreeMap<(Duration, u64), Event>,
    /// Sent ahead and not begun.
    armed: BTreeSet<Attempt>,
    /// Whatever was sent ahead once.
    ahead: BTreeSet<Attempt>,
    /// Until when each server of one place is busy.
    busy: BTreeMap<Target, Duration>,
    /// Attempts that began, by occurrence.
    begun: HashMap<(TaskIndex, u32), u32>,
    settled: Vec<BTreeSet<u32>>,
    outcomes: Vec<Option<Verdict>>,
    over: Option<RunVerdict>,
    /// When each finished task ended.
    ends: Vec<Option<Duration>>,
}

impl<'s> Play<'s> {
    fn new(schedule: &'s Schedule, world: World) -> Self {
        let count = schedule.tasks.len();
        Self {
            schedule,
            world,
            random: fastrand::Rng::with_seed(world.seed),
            mail: BTreeMap::new(),
            sent: 0,
            events: BTreeMap::new(),
            armed: BTreeSet::new(),
            ahead: BTreeSet::new(),
            busy: BTreeMap::new(),
            begun: HashMap::new(),
            settled: vec![BTreeSet::new(); count],
            outcomes: vec![None; count],
            over: None,
            ends: vec![None; count],
        }
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    fn send(&mut self, at: Duration, input: Input) {
        if self.chance(self.world.loss) {
            return;
        }
        self.sent += 1;
        self.mail.insert((at, self.sent), input);
        if self.chance(5) {
            self.sent += 1;
            self.mail.insert((at + MS, self.sent), input);
        }
    }

    fn later(&mut self, at: Duration, event: Event) {
        self.sent += 1;
        self.events.insert((at, self.sent), event);
    }

    /// The server of an attempt, if it runs one task at a time.
    fn server(&self, attempt: Attempt) -> Option<Target> {
        Some(self.schedule.tasks[attempt.task.at()].target.clone()).filter(Target::is_server)
    }

    /// The task server gets a start; while it is busy the start is tried again.
    fn serve(&mut self, now: Duration, attempt: Attempt) {
        let wire = Duration::from_micros(self.random.u64(0..800));
        if self.chance(self.world.refusal) {
            let clear = self.random.bool();
            return self.send(now + wire, if clear { Input::Refused(attempt) } else { Input::Unclear(attempt) });
        }
        let free = self.server(attempt).and_then(|server| self.busy.get(&server).copied()).unwrap_or_default();
        let begin = (now + wire).max(free);
        self.send(begin, Input::Started(attempt));
        let end = match (self.chance(self.world.failure), self.random.u8(0..8)) {
            (false, _) => End::Success,
            (true, 0) => End::Cancelled,
            (true, 1) => End::Timeout,
            (true, _) => End::Failure,
        };
        let end_at = begin + Duration::from_micros(self.random.u64(0..9000));
        if let Some(server) = self.server(attempt) {
            self.busy.insert(server, end_at);
        }
        self.send(end_at + wire, Input::Ended(attempt, end));
    }

    /// Something happens at a task server.
    fn event(&mut self, now: Duration, event: Event) {
        match event {
            Event::Gate(attempt, at) if self.armed.contains(&attempt) => {
                let free = self.server(attempt).and_then(|server| self.busy.get(&server).copied()).unwrap_or_default();
                if free <= now {
                    self.armed.remove(&attempt);
                    self.serve(now, attempt);
                } else if free <= at + LATE {
                    self.later(free, Event::Gate(attempt, at));
                } else {
                    self.armed.remove(&attempt);
                    self.send(at + LATE, Input::Disarmed(attempt));
                }
            }
            Event::Disarm(attempt) if self.armed.remove(&attempt) => self.send(now, Input::Disarmed(attempt)),
            Event::Gate(..) | Event::Disarm(_) => {}
        }
    }

    /// Checks an effect against the rules, and lets the world answer it.
    fn effect(&mut self, now: Duration, effect: Effect) -> Result<(), TestCaseError> {
        prop_assert!(self.over.is_none(), "{effect:?} after the end");
        match effect {
            Effect::Start { attempt, due } => {
                self.begins(now, attempt)?;
                prop_assert!(due <= now, "{attempt:?} at {now:?} before its due time {due:?}");
                self.serve(now, attempt);
            }
            Effect::Arm { attempt, at } => {
                self.begins(at, attempt)?;
                let lead = self.world.lead.map(|lead| MS * lead as u32);
                prop_assert!(
                    lead.is_some_and(|lead| at > now && at <= now + lead),
                    "{attempt:?} sent at {now:?} for {at:?}"
                );
                self.ahead.insert(attempt);
                if self.chance(20) {
                    // A runner that is lost, or is not one, answers before the instant.
                    self.serve(now, attempt);
                } else {
                    self.armed.insert(attempt);
                    self.later(at, Event::Gate(attempt, at));
                }
            }
            Effect::Disarm(attempt) => {
                prop_assert!(self.ahead.contains(&attempt), "{attempt:?} was not sent ahead");
                let wire = Duration::from_micros(self.random.u64(0..800));
                self.later(now + wire, Event::Disarm(attempt));
            }
            Effect::Poll(attempt) => {
                let seen = match self.random.u8(0..3) {
                    0 => Seen::Running,
                    1 => Seen::NotRunning,
                    _ => Seen::Unreachable,
                };
                self.send(now + MS, Input::Seen(attempt, seen));
            }
            Effect::Stop { attempt, .. } => {
                self.armed.remove(&attempt);
                let answer =
                    if self.random.bool() { Input::Stopped(attempt) } else { Input::Ended(attempt, End::Cancelled) };
                self.send(now + MS, answer);
            }
            Effect::Kill(attempt) => {
                self.armed.remove(&attempt);
                self.send(now + MS, Input::Ended(attempt, End::Cancelled));
            }
            Effect::Settled { task, first, count, verdict, .. } => {
                let terms = &self.schedule.tasks[task.at()];
                for occurrence in first..first + count {
                    prop_assert!(self.settled[task.at()].insert(occurrence), "{task:?} settled twice: {occurrence}");
                }
                prop_assert!(first + count <= terms.release.occurrences());
                let worst = self.outcomes[task.at()].filter(|verdict| !verdict.is_success());
                self.outcomes[task.at()] = Some(worst.unwrap_or(verdict));
                if self.settled[task.at()].len() == terms.release.occurrences() as usize {
                    self.ends[task.at()] = Some(now);
                }
            }
            Effect::Ended(verdict) => self.over = Some(verdict),
        }
        Ok(())
    }

    /// An attempt begins at `at`: not early, not twice, and not before what it needs.
    fn begins(&mut self, at: Duration, attempt: Attempt) -> Result<(), TestCaseError> {
        let task = &self.schedule.tasks[attempt.task.at()];
        if let Some(due) = task.release.due(attempt.occurrence) {
            prop_assert!(at >= due, "{attempt:?} at {at:?}, due {due:?}");
        }
        let begun = self.begun.entry((attempt.task, attempt.occurrence)).or_insert(0);
        // What was sent ahead and refused before its instant is started as the same attempt.
        let rearmed = self.world.lead.is_some() && *begun == attempt.number;
        prop_assert!(attempt.number == *begun + 1 || rearmed, "{attempt:?} after {begun}");
        prop_assert!(attempt.number <= task.max_retries + 1, "{attempt:?}");
        *begun = attempt.number;
        prop_assert!(!self.settled[attempt.task.at()].contains(&attempt.occurrence), "{attempt:?} is settled");
        for need in &task.needs {
            let other = self.schedule.tasks.iter().position(|other| other.id == need.task).unwrap();
            let ended = self.ends[other];
            prop_assert!(ended.is_some_and(|ended| ended <= at), "{attempt:?} before {} ended", need.task);
            let good = self.outcomes[other].is_some_and(Verdict::is_success);
            let fits = match need.on {
                On::Success => good,
                On::Failure => !good,
                On::Always => true,
            };
            prop_assert!(fits, "{attempt:?} although {} ended as {:?}", need.task, self.outcomes[other]);
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), TestCaseError> {
        let lead = self.world.lead.map(|lead| MS * lead as u32);
        let lane = |_, task: &Task| match task.target {
            Target::Command(_) => Lane { lead, ..Lane::LOCAL },
            _ => Lane { lead, ..Lane::WRAPPER },
        };
        let mut timeline = Timeline::new(self.schedule, lane);
        let mut effects = Vec::new();
        let (mut now, mut believed) = (Duration::ZERO, Duration::ZERO);
        if let Some(cancel) = self.world.cancel {
            self.mail.insert((MS * cancel as u32, 0), Input::Cancel);
        }
        for steps in 0.. {
            prop_assert!(steps < 20_000, "no end in sight at {now:?}");
            let mail = self.mail.first_key_value().map(|((at, _), _)| *at);
            let first = mail.into_iter().chain(timeline.next()).min();
            if let Some(event) =
                self.events.first_entry().filter(|event| first.is_none_or(|first| event.key().0 <= first))
            {
                let ((at, _), event) = event.remove_entry();
                now = now.max(at);
                self.event(now, event);
                continue;
            }
            let (input, at) = match (mail, timeline.next()) {
                (Some(mail), next) if next.is_none_or(|next| mail <= next) => (self.mail.pop_first().unwrap().1, mail),
                (_, Some(next)) => (Input::Tick, next),
                (_, None) => break,
            };
            // Threads wake up late, never early; and a clock that goes back is not believed.
            now = now.max(at + Duration::from_micros(self.random.u64(0..20)));
            let told = if self.chance(2) { now.saturating_sub(MS) } else { now };
            believed = believed.max(told);
            timeline.step(told, input, &mut effects);
            for effect in effects.drain(..) {
                self.effect(believed, effect)?;
            }
            self.lanes(&timeline)?;
            if timeline.is_over() {
                break;
            }
        }
        prop_assert!(self.over.is_some(), "the run never ended");
        prop_assert_eq!(timeline.next(), None);
        for (task, settled) in self.schedule.tasks.iter().zip(&self.settled) {
            prop_assert_eq!(settled.len(), task.release.occurrences() as usize, "{}", task.id);
        }
        let failed = self.outcomes.iter().flatten().any(|verdict| verdict.fails_the_run());
        match self.over {
            Some(RunVerdict::Succeeded) => prop_assert!(!failed),
            Some(RunVerdict::Failed) => prop_assert!(failed),
            _ => {}
        }
        Ok(())
    }

    /// A task server has no more at work than it takes, but for what began by itself; and nobody waits at one that is idle.
    fn lanes(&self, timeline: &Timeline) -> Result<(), TestCaseError> {
        let mut sent: BTreeMap<u32, u32> = BTreeMap::new();
        let (mut placed, mut waiting) = (BTreeSet::new(), BTreeSet::new());
        for (task, (terms, state)) in timeline.terms.iter().zip(&timeline.states).enumerate() {
            let Some(lane) = terms.lane else { continue };
            if state.placed {
                placed.insert(lane);
                *sent.entry(lane).or_default() += u32::from(!self.ahead.contains(&state.attempt(task)));
            }
            if state.phase == Phase::Ready {
                waiting.insert(lane);
            }
        }
        prop_assert!(sent.values().all(|count| *count <= 1), "{sent:?}");
        prop_assert!(waiting.is_subset(&placed), "{waiting:?} wait, {placed:?} are busy");
        Ok(())
    }
}

proptest! {
    // The number of cases that the rules of a run are asked to hold over.
    #![proptest_config(ProptestConfig { cases: 100_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// Never early, at most once, no overlap, a failed dependency never releases, every occurrence is settled once, and
    /// every run ends.
    #[test]
    fn the_rules_hold_whatever_is_lost(schedule in schedules(), world in worlds()) {
        Play::new(&schedule, world).run()?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// With nobody there at all a run ends within the sum of its bounds.
    #[test]
    fn a_silent_world_bounds_the_run(schedule in schedules()) {
        let world = World { seed: 0, loss: 100, refusal: 0, failure: 0, cancel: None, lead: None };
        let mut play = Play::new(&schedule, world);
        let bound: Duration = schedule.tasks.iter().map(|task| {
            let attempt = task.start_timeout + task.grace + Duration::from_secs(6) + task.retry_delay * 64;
            let span = task.release.due(task.release.occurrences()).unwrap_or_default();
            span + attempt * (task.max_retries + 1) * task.release.occurrences()
        }).sum();
        play.run()?;
        let last = play.ends.iter().flatten().max().copied().unwrap_or_default();
        prop_assert!(last <= bound, "{last:?} > {bound:?}");
    }
}
