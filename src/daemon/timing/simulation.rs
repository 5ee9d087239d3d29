//! Two simulated weeks: a daemon is killed at any point, the power fails and takes along what was not flushed, task servers
//! die, messages are lost, commits come and go and the wall clock jumps; the ledger is the real one. Whatever happens, no
//! due time starts twice, none before its time, none is lost, and every run is settled.
//!
//! A failure names its seed: `SETPOINT_SEED=17 cargo test --lib simulation`.

use super::desk::{Begin, Desk, Order, ahead, put_off};
use crate::apply::load::Loaded;
use crate::manifest;
use crate::model::{
    CommitId, FileEntry, FileKind, FileTree, Overlap, OwnerId, Revision, RunId, Schedule, ScheduleName, Start,
    Timestamp,
};
use crate::schedule::agenda::jittered;
use crate::schedule::{Attempt, Effect, End, Input, Lane, RunVerdict, Seen, Timeline};
use crate::store::{DueKey, FireOutcome, Ledger, RunFilter, RunStart, RunState, Store};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const SEEDS: u64 = 40;
/// Simulated time of one seed.
const SPAN: Duration = Duration::from_secs(9 * 3600);
/// The longest that nobody is there.
const AWAY: Duration = Duration::from_secs(2 * 3600);
/// Every run ends within this, whatever is lost: the bounds of its tasks say so.
const LONGEST: Duration = Duration::from_secs(900);

/// A run as its process sees it.
struct Live {
    begin: Begin,
    /// Written down as one that may begin.
    prepared: bool,
    timeline: Timeline,
    /// Monotonic, once it has begun.
    start: Option<Duration>,
    mail: BTreeMap<(Duration, u64), Input>,
}

struct World {
    seed: u64,
    random: fastrand::Rng,
    folder: std::path::PathBuf,
    ledger: Ledger,
    /// How often the machine started.
    boots: u32,
    /// Time that never jumps, since the beginning.
    now: Duration,
    /// Wall clock less that.
    wall: Timestamp,
    text: BTreeMap<String, String>,
    commits: u32,
    desk: Desk,
    live: Vec<Live>,
    /// Interrupted runs whose tasks go on for a while: until when, of which schedule.
    left: Vec<(Duration, ScheduleName, RunId)>,
    letters: u64,
    /// What each due time was begun as.
    begun: BTreeMap<(ScheduleName, DueKey), String>,
    /// Until when each task server is dead; the server of a task has its number.
    dead: BTreeMap<u32, Duration>,
    /// Attempts that a task server was asked to start, by run.
    started: BTreeSet<(RunId, Attempt)>,
    /// The latest wall time at which somebody looked, for each schedule that never changed since.
    unchanged: BTreeSet<String>,
    first_commit: Option<Timestamp>,
    looked: Timestamp,
}

impl World {
    fn new(seed: u64, folder: &std::path::Path) -> Self {
        fastrand::seed(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut text = BTreeMap::new();
        for name in ["a", "b", "c", "d"].iter().take(random.usize(1..=4)) {
            text.insert((*name).to_owned(), schedule(name, &mut random));
        }
        let wall = "2026-03-28T20:00:00Z".parse().unwrap();
        Self {
            seed,
            random,
            ledger: open(folder, 0),
            folder: folder.to_owned(),
            boots: 0,
            now: Duration::ZERO,
            wall,
            unchanged: text.keys().cloned().collect(),
            text,
            commits: 0,
            desk: Desk::new("0"),
            live: Vec::new(),
            left: Vec::new(),
            letters: 0,
            begun: BTreeMap::new(),
            dead: BTreeMap::new(),
            started: BTreeSet::new(),
            first_commit: None,
            looked: wall,
        }
    }

    fn clock(&self) -> Timestamp {
        self.wall.checked_add(SignedDuration::try_from(self.now).unwrap()).unwrap()
    }

    /// Things go wrong until the quiet at the end.
    fn is_wild(&self) -> bool {
        self.now < SPAN - AWAY - 2 * LONGEST
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    /// The commit in hand, as the daemon would have loaded it.
    fn loaded(&self) -> Loaded {
        let mut tree = FileTree::default();
        for (name, text) in &self.text {
            let content: Arc<[u8]> = text.as_bytes().into();
            let size = content.len() as u64;
            let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size, content: Some(content) };
            tree.files.insert(format!("schedules/{name}.yaml"), entry);
        }
        let desired = manifest::compile(&tree).unwrap_or_else(|report| panic!("{report}"));
        let revision = Revision {
            commit: CommitId::new(format!("{:040}", self.commits)),
            reference: "main".to_owned(),
            summary: String::new(),
            author: String::new(),
            time: Timestamp::UNIX_EPOCH,
        };
        Loaded { revision, desired: Arc::new(desired), ledger: self.ledger.clone(), owner: OwnerId::new("i/default") }
    }

    fn commit(&mut self) {
        let now = self.clock();
        self.desk.commit(self.loaded(), now);
    }

    /// Somebody commits a change.
    fn change(&mut self) {
        self.commits += 1;
        let names = ["a", "b", "c", "d"];
        let name = names[self.random.usize(..names.len())].to_owned();
        self.unchanged.remove(&name);
        if self.chance(25) {
            self.text.remove(&name);
        } else {
            let text = schedule(&name, &mut self.random);
            self.text.insert(name, text);
        }
        self.commit();
    }

    /// The daemon dies, with all that it had in mind, and comes back later; at times with the whole machine.
    fn kill(&mut self) {
        if self.chance(40) {
            let next = self.folder.join((self.boots + 1).to_string());
            self.ledger.store().power_cut(&next).unwrap();
            self.boots += 1;
            self.ledger = open(&self.folder, self.boots);
        }
        self.desk = Desk::new(&self.boots.to_string());
        self.live.clear();
        self.left.clear();
        let away = if self.chance(30) { self.random.u64(0..AWAY.as_secs()) } else { self.random.u64(0..20) };
        self.now += Duration::from_secs(away);
        self.commit();
    }

    /// A task server dies, and with it what it runs; later it is there again and knows of nothing.
    fn kill_server(&mut self) {
        let server = self.random.u32(0..3);
        let until = self.now + Duration::from_secs(self.random.u64(1..90));
        self.dead.insert(server, until);
        for run in &mut self.live {
            run.mail.retain(|_, input| about(input).is_none_or(|attempt| attempt.task.0 != server));
        }
    }

    fn is_dead(&self, attempt: Attempt) -> bool {
        self.dead.get(&attempt.task.0).is_some_and(|until| self.now < *until)
    }

    fn turn(&mut self) {
        let now = self.clock();
        self.looked = self.looked.max(now);
        self.first_commit.get_or_insert(now);
        for order in self.desk.turn(now) {
            match order {
                // The daemon may die between the ledger and what follows from it.
                _ if self.is_wild() && self.random.u8(0..200) == 0 => return self.kill(),
                Order::Begin(begin) => {
                    let lane = |_, _: &_| Lane::WRAPPER;
                    let timeline = Timeline::new(&begin.schedule, lane);
                    self.live.push(Live { begin, prepared: false, timeline, start: None, mail: BTreeMap::new() });
                }
                Order::Follow(left) => {
                    let until = self.now + Duration::from_secs(self.random.u64(0..200));
                    self.left.push((until, left.name, left.id));
                }
                Order::Cancel(id) if self.left.iter().any(|left| left.2 == id) => {
                    self.left.iter_mut().filter(|left| left.2 == id).for_each(|left| left.0 = self.now);
                }
                Order::Cancel(id) => {
                    let now = self.now;
                    let run = self.live.iter_mut().find(|run| run.begin.id == id).expect("it is under way");
                    // Before its start the request waits for it.
                    let at = run.start.map_or(Duration::ZERO, |start| now - start);
                    run.mail.insert((at, u64::MAX), Input::Cancel);
                }
            }
        }
    }

    /// Prepares the runs whose planned time is near by the wall clock, and begins those whose time has come.
    fn begin_due(&mut self) {
        let now = self.clock();
        let boot = self.boots.to_string();
        for run in self.live.iter_mut().filter(|run| !run.prepared && ahead(run.begin.planned) <= now) {
            run.prepared = true;
            let Begin { id, schedule, due, planned, revision, ledger, .. } = &run.begin;
            ledger
                .prepare_run(&RunStart {
                    id: id.clone(),
                    schedule: schedule.name.clone(),
                    due: due.clone(),
                    revision: revision.clone(),
                    strict: false,
                    planned_at: *planned,
                    boot: boot.clone(),
                    process: None,
                })
                .unwrap();
        }
        if self.is_wild() && self.random.u8(0..200) == 0 {
            return self.kill();
        }
        for run in self.live.iter_mut().filter(|run| run.start.is_none() && run.begin.planned <= now) {
            run.start = Some(self.now);
            let Begin { id, schedule, due, ledger, .. } = &run.begin;
            let key = (schedule.name.clone(), due.clone());
            let before = self.begun.insert(key, id.clone().to_string());
            assert_eq!(before, None, "seed {}: {} {due} begins twice", self.seed, schedule.name);
            if let DueKey::Instant(at) = due {
                let at = jittered(&schedule.name, *at, schedule.jitter);
                assert!(at <= now, "seed {}: {} begins at {now}, due {at}", self.seed, schedule.name);
            }
            ledger.begin_run(id, now).unwrap();
        }
        for name in self.live.iter().map(|run| &run.begin.schedule.name).collect::<BTreeSet<_>>() {
            let runs = self.live.iter().filter(|run| run.begin.schedule.name == *name);
            let alone = runs.clone().all(|run| run.begin.schedule.overlap != Overlap::Allow);
            assert!(!alone || runs.count() <= 1, "seed {}: two runs of {name} at once", self.seed);
        }
    }

    /// When something is next to be done, by the clock that never jumps.
    fn next(&self) -> Duration {
        let wall = self.clock();
        let until = |at: Timestamp| {
            let left = at.duration_since(wall);
            self.now + if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() }
        };
        let desk = self.desk.next().map(until);
        let runs = self.live.iter().map(|run| match run.start {
            None if !run.prepared => until(ahead(run.begin.planned)),
            None => until(run.begin.planned),
            Some(start) => {
                let mail = run.mail.first_key_value().map(|((at, _), _)| *at);
                start + mail.into_iter().chain(run.timeline.next()).min().expect("a run that is not over goes on")
            }
        });
        // The daemon looks at the wall clock once in a second at least.
        runs.chain(desk).min().unwrap_or(Duration::MAX).min(self.now + Duration::from_secs(1))
    }

    /// Lets every run do what it has to do until now.
    fn advance(&mut self) {
        let now = self.clock();
        for (_, schedule, id) in self.left.extract_if(.., |left| left.0 <= self.now) {
            self.desk.ended(&schedule, &id, now);
        }
        for at in (0..self.live.len()).rev() {
            while let Some(effects) = self.step(at) {
                for effect in effects {
                    self.effect(at, effect);
                }
            }
            if self.live[at].timeline.is_over() {
                let Live { begin, start, .. } = self.live.remove(at);
                let took = self.now - start.unwrap();
                assert!(took <= LONGEST, "seed {}: a run took {took:?}", self.seed);
                let now = self.clock();
                self.ledger.end_run(&begin.id, RunVerdict::Succeeded, None, now).unwrap();
                self.desk.ended(&begin.schedule.name, &begin.id, now);
            }
        }
    }

    fn step(&mut self, at: usize) -> Option<Vec<Effect>> {
        let now = self.now;
        let run = &mut self.live[at];
        let since = now - run.start?;
        if run.timeline.is_over() {
            return None;
        }
        let mail = run.mail.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= since);
        let input = match mail {
            Some(_) => run.mail.pop_first().unwrap().1,
            None => run.timeline.next().filter(|next| *next <= since).map(|_| Input::Tick)?,
        };
        let mut effects = Vec::new();
        run.timeline.step(since, input, &mut effects);
        Some(effects)
    }

    /// The world's answer to an effect: often none.
    fn effect(&mut self, at: usize, effect: Effect) {
        let ms = |random: &mut fastrand::Rng, most: u64| Duration::from_millis(random.u64(0..most));
        let mut answers = Vec::new();
        match effect {
            Effect::Start { attempt, .. } => {
                let key = (self.live[at].begin.id.clone(), attempt);
                assert!(self.started.insert(key), "seed {}: {attempt:?} is started twice", self.seed);
                if self.is_dead(attempt) || self.chance(5) {
                    answers.push((ms(&mut self.random, 50), Input::Refused(attempt)));
                } else {
                    let end = if self.chance(15) { End::Failure } else { End::Success };
                    let begun = ms(&mut self.random, 50);
                    let ended = begun + ms(&mut self.random, 90_000);
                    answers.extend([(begun, Input::Started(attempt)), (ended, Input::Ended(attempt, end))]);
                }
            }
            Effect::Poll(attempt) => {
                let seen = [Seen::Running, Seen::NotRunning, Seen::Unreachable];
                let seen = if self.is_dead(attempt) { Seen::Unreachable } else { seen[self.random.usize(..3)] };
                answers.push((Duration::from_millis(2), Input::Seen(attempt, seen)));
            }
            Effect::Stop { attempt, .. } if self.is_dead(attempt) => {}
            Effect::Stop { attempt, .. } => answers.push((Duration::from_millis(2), Input::Stopped(attempt))),
            Effect::Kill(_) | Effect::Arm { .. } | Effect::Disarm(_) | Effect::Settled { .. } | Effect::Ended(_) => {}
        }
        let since = self.now - self.live[at].start.unwrap();
        for (after, input) in answers {
            if !self.chance(10) {
                self.letters += 1;
                self.live[at].mail.insert((since + after, self.letters), input);
            }
        }
    }

    /// One seed from its first commit to the quiet after it.
    fn play(&mut self) {
        self.commit();
        let mut quiet = SPAN;
        while self.now < quiet {
            let next = self.next();
            self.now = self.now.max(next);
            self.begin_due();
            self.advance();
            self.turn();
            if self.is_wild() {
                match self.random.u32(0..20_000) {
                    0..8 => self.kill(),
                    8..12 => self.change(),
                    12..60 => self.kill_server(),
                    60..63 => {
                        let jump = SignedDuration::from_secs(self.random.i64(-5400..5400));
                        self.wall = self.wall.checked_add(jump).unwrap();
                    }
                    _ => {}
                }
            } else if self.live.is_empty() && self.left.is_empty() {
                quiet = quiet.min(self.now + Duration::from_secs(1));
            }
        }
        self.settled();
        self.accounted();
    }

    /// Whatever was fired has come to an end that the ledger knows.
    fn settled(&self) {
        let open = self.ledger.interrupted_runs(&self.boots.to_string()).unwrap();
        let live: BTreeSet<&RunId> = self.desk.under_way().collect();
        let lost: Vec<_> = open.iter().filter(|run| !live.contains(&run.run)).collect();
        assert!(lost.is_empty(), "seed {}: nobody knows of {lost:?}", self.seed);
        let runs = self.ledger.runs(&RunFilter { state: Some(RunState::Running), ..RunFilter::default() }).unwrap();
        assert!(runs.iter().all(|run| live.contains(&run.id)), "seed {}: {runs:?}", self.seed);
    }

    /// Each due time of a schedule that never changed has a row in the ledger, or lies in the span of one.
    fn accounted(&self) {
        let loaded = self.loaded();
        for (name, schedule) in &loaded.desired.schedules {
            let (Start::Cron(cadence), Some(since)) = (&schedule.start, self.first_commit) else { continue };
            if !self.unchanged.contains(name.as_str()) {
                continue;
            }
            let mut due = cadence.next(since);
            let looked = self.looked.checked_sub(put_off(schedule)).unwrap();
            while let Some(at) = due.filter(|at| *at <= looked) {
                self.has(schedule, at);
                due = cadence.next(at);
            }
        }
    }

    fn has(&self, schedule: &Schedule, at: Timestamp) {
        if self.ledger.fire_of(&schedule.name, &DueKey::Instant(at)).unwrap().is_some() {
            return;
        }
        let fires = self.ledger.fires(Some(&schedule.name), 10_000).unwrap();
        let spanned = fires.iter().any(|fire| match (&fire.due, fire.outcome) {
            (DueKey::Instant(last), FireOutcome::Missed { missed_from, .. }) => missed_from <= at && at <= *last,
            _ => false,
        });
        assert!(spanned, "seed {}: {} {at} is lost", self.seed, schedule.name);
    }
}

/// The ledger of a machine that started so often.
fn open(folder: &std::path::Path, boots: u32) -> Ledger {
    let store = Store::open(&folder.join(boots.to_string())).unwrap();
    store.keep_log().unwrap();
    store.ledger("default")
}

/// The attempt that an input is about.
fn about(input: &Input) -> Option<Attempt> {
    match *input {
        Input::Started(attempt)
        | Input::Refused(attempt)
        | Input::Disarmed(attempt)
        | Input::Unclear(attempt)
        | Input::Ended(attempt, _)
        | Input::Seen(attempt, _)
        | Input::Stopped(attempt) => Some(attempt),
        Input::Tick | Input::Cancel => None,
    }
}

/// A schedule with some tasks, due often or rarely.
fn schedule(name: &str, random: &mut fastrand::Rng) -> String {
    let starts = [
        "{cron: \"*/5 * * * *\", zone: Europe/Berlin}",
        "{cron: \"*/30 * * * * *\"}",
        "{cron: \"7,19 * * * *\", zone: Australia/Lord_Howe}",
        "{cron: \"30 2 * * *\", zone: Europe/Berlin}",
        "{at: \"2026-03-28T21:30:00Z\"}",
        "on_commit",
    ];
    let pick = |random: &mut fastrand::Rng, words: &[&str]| words[random.usize(..words.len())].to_owned();
    let start = pick(random, &starts);
    let mut more = format!("overlap: {}", pick(random, &["skip", "queue", "replace", "allow"]));
    if start != "on_commit" {
        let missed = pick(random, &["run_once", "skip", "{run_all: 3}"]);
        more += &format!("\n  missed: {missed}\n  jitter: {}", pick(random, &["0", "20s", "7m"]));
    }
    format!(
        "schedule:\n  name: {name}\n  start: {start}\n  {more}\n  \
         defaults: {{timeout: 60s, start_timeout: 2s, lease: 5s, grace: 2s, max_retries: 1}}\n  tasks:\n    \
         - {{id: one, address: \"h:1\", scheduled_time: {}s}}\n    \
         - {{id: two, address: \"h:2\", mode: sequential, depends_on: one}}\n    \
         - {{id: three, address: \"h:3\", scheduled_time: 1s, period: 2s, count: {}, on_deadline: warn, deadline: 3s}}\n",
        random.u32(0..20),
        random.u32(1..4),
    )
}

#[test]
fn no_due_time_starts_twice_or_early_or_is_lost_whatever_happens() {
    let one = crate::process::config::env("SETPOINT_SEED").map(|seed| seed.parse().unwrap());
    let seeds = one.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    let folder = tempfile::tempdir().unwrap();
    let mut begun = 0;
    for seed in seeds.clone() {
        let mut world = World::new(seed, &folder.path().join(seed.to_string()));
        world.play();
        begun += world.begun.len();
    }
    assert!(one.is_some() || begun > 10 * SEEDS as usize, "only {begun} runs");
}
