use super::*;
use crate::model::Cadence;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron(expression: &str, zone: &str) -> Start {
    Start::Cron(Cadence::parse(expression, zone).unwrap())
}

fn times(texts: &[&str]) -> Vec<Timestamp> {
    texts.iter().map(|text| at(text)).collect()
}

mod due_times {
    use super::*;

    /// At every full hour, first known at half past nine; asked at `now` with what the ledger has.
    fn hourly(missed: Missed, settled: Option<&str>, now: &str) -> Due {
        due(&cron("0 * * * *", "UTC"), missed, at("2026-11-20T09:30:00Z"), settled.map(at), at(now))
    }

    #[test]
    fn what_is_due_now_runs_and_the_next_one_follows() {
        let due = hourly(Missed::Skip, None, "2026-11-20T10:00:00Z");
        assert_eq!(due.run, times(&["2026-11-20T10:00:00Z"]));
        assert_eq!((due.missed, due.next), (None, Some(at("2026-11-20T11:00:00Z"))));
        assert_eq!(due.settles(), Some(at("2026-11-20T10:00:00Z")));
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let due = hourly(Missed::RunOnce, None, "2026-11-20T09:59:59.999999999Z");
        assert_eq!(due, Due { run: vec![], missed: None, next: Some(at("2026-11-20T10:00:00Z")) });
        assert_eq!(due.settles(), None);
    }

    #[test]
    fn ten_seconds_late_is_on_time_and_more_is_missed() {
        assert_eq!(hourly(Missed::Skip, None, "2026-11-20T10:00:10Z").run.len(), 1);
        let late = hourly(Missed::Skip, None, "2026-11-20T10:00:10.001Z");
        let ten = at("2026-11-20T10:00:00Z");
        assert_eq!((late.run, late.missed), (vec![], Some(MissedSpan { first: ten, last: ten, count: 1 })));
    }

    #[test]
    fn what_was_due_before_the_schedule_was_known_is_nobodys() {
        let late = hourly(Missed::RunAll(9), None, "2026-11-20T11:30:00Z");
        assert_eq!(late.run, times(&["2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"]));
        let seen = at("2026-11-20T10:00:00Z");
        assert_eq!(due(&cron("0 * * * *", "UTC"), Missed::RunAll(9), seen, None, seen).run, []);
    }

    /// Six hours without a daemon: 10 to 15 o'clock were missed, 16 o'clock is on time.
    fn absence(missed: Missed) -> Due {
        hourly(missed, None, "2026-11-20T16:00:01Z")
    }

    fn span(first: &str, last: &str, count: u64) -> MissedSpan {
        MissedSpan { first: at(first), last: at(last), count }
    }

    #[test]
    fn missed_ones_are_skipped() {
        let due = absence(Missed::Skip);
        assert_eq!(due.run, times(&["2026-11-20T16:00:00Z"]));
        assert_eq!(due.missed, Some(span("2026-11-20T10:00:00Z", "2026-11-20T15:00:00Z", 6)));
    }

    #[test]
    fn or_the_latest_of_them_runs() {
        let due = absence(Missed::RunOnce);
        assert_eq!(due.run, times(&["2026-11-20T15:00:00Z", "2026-11-20T16:00:00Z"]));
        assert_eq!(due.missed, Some(span("2026-11-20T10:00:00Z", "2026-11-20T14:00:00Z", 5)));
    }

    #[test]
    fn or_the_latest_few_run_oldest_first() {
        let due = absence(Missed::RunAll(2));
        assert_eq!(due.run, times(&["2026-11-20T14:00:00Z", "2026-11-20T15:00:00Z", "2026-11-20T16:00:00Z"]));
        assert_eq!(due.missed, Some(span("2026-11-20T10:00:00Z", "2026-11-20T13:00:00Z", 4)));
        assert_eq!(absence(Missed::RunAll(6)).missed, None);
        assert_eq!(absence(Missed::RunAll(0)), absence(Missed::Skip));
    }

    #[test]
    fn a_clock_that_goes_back_brings_nothing_back() {
        let due = hourly(Missed::RunAll(9), Some("2026-11-20T12:00:00Z"), "2026-11-20T10:30:00Z");
        assert_eq!(due, Due { run: vec![], missed: None, next: Some(at("2026-11-20T13:00:00Z")) });
    }

    #[test]
    fn an_instant_comes_once() {
        let (ten, before, after) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T09:00:00Z"), at("2026-11-20T11:00:00Z"));
        let start = Start::At(ten);
        assert_eq!(due(&start, Missed::Skip, before, None, before).next, Some(ten));
        let on_time = due(&start, Missed::Skip, before, None, ten);
        assert_eq!(on_time, Due { run: vec![ten], missed: None, next: None });
        let late = due(&start, Missed::Skip, before, None, after);
        let span = Some(MissedSpan { first: ten, last: ten, count: 1 });
        assert_eq!(late, Due { run: vec![], missed: span, next: None });
        assert_eq!(due(&start, Missed::RunOnce, before, None, after).run, [ten]);
        assert_eq!(due(&start, Missed::RunOnce, before, Some(ten), after), Due::default());
        assert_eq!(due(&start, Missed::RunOnce, before, Some(ten), before), Due::default(), "the clock went back");
        assert_eq!(due(&start, Missed::RunOnce, ten, None, after), Due::default(), "committed with a time long past");
    }

    #[test]
    fn commits_and_people_have_no_due_times() {
        let (seen, now) = (at("2026-11-20T09:00:00Z"), at("2026-11-20T10:00:00Z"));
        for start in [Start::OnCommit, Start::Manual] {
            assert_eq!(due(&start, Missed::RunAll(9), seen, None, now), Due::default());
        }
    }

    #[test]
    fn a_year_of_seconds_costs_no_more_than_its_bounds() {
        let (seen, now) = (at("2025-11-20T10:00:00.5Z"), at("2026-11-20T10:00:00Z"));
        let due = due(&cron("* * * * * *", "Europe/Berlin"), Missed::RunAll(u32::MAX), seen, None, now);
        assert_eq!(due.run.len(), 1000 + 11, "late ones up to their bound, and the last ten seconds");
        let latest_missed = now - SignedDuration::from_secs(1011);
        let span = MissedSpan { first: at("2025-11-20T10:00:01Z"), last: latest_missed, count: MISSED_LIMIT };
        assert_eq!(due.missed, Some(span));
    }

    fn missed() -> impl Strategy<Value = Missed> {
        prop_oneof![Just(Missed::Skip), Just(Missed::RunOnce), (0u32..5).prop_map(Missed::RunAll)]
    }

    /// Around the clock changes of Berlin, with steps from seconds to days.
    fn starts() -> impl Strategy<Value = Start> {
        const CRONS: [&str; 7] = [
            "* * * * * *",
            "*/7 * * * * *",
            "* * * * *",
            "*/30 * * * *",
            "30 2 * * *",
            "*/20 2,14 * * *",
            "0 12 L * *",
        ];
        let instant = (-90_000i64..90_000).prop_map(|seconds| Start::At(origin() + SignedDuration::from_secs(seconds)));
        prop_oneof![4 => prop::sample::select(&CRONS[..]).prop_map(|text| cron(text, "Europe/Berlin")), 1 => instant]
    }

    fn origin() -> Timestamp {
        at("2026-10-25T00:30:00Z")
    }

    /// What the wall clock shows at the calls: small steps, long absences, jumps back.
    fn clock() -> impl Strategy<Value = Vec<Timestamp>> {
        let step = prop_oneof![6 => 0i64..15_000, 3 => 0i64..200_000, 1 => 0i64..90_000_000, 2 => -400_000i64..0];
        prop::collection::vec(step, 1..25).prop_map(|steps| {
            let mut now = origin();
            let tick = |step| {
                now += SignedDuration::from_millis(step);
                now
            };
            steps.into_iter().map(tick).collect()
        })
    }

    /// The first due time after an instant.
    fn following(start: &Start, after: Timestamp) -> Option<Timestamp> {
        match start {
            Start::Cron(cadence) => cadence.next(after),
            Start::At(at) => Some(*at).filter(|at| *at > after),
            Start::OnCommit | Start::Manual => None,
        }
    }

    /// All due times in a span, one after the other.
    fn all(start: &Start, after: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let due = std::iter::successors(following(start, after), |due| following(start, *due));
        due.take_while(|due| *due <= to).collect()
    }

    proptest! {
        #[test]
        fn one_answer_keeps_its_rules(
            start in starts(),
            missed in missed(),
            ago in 0i64..3_000_000,
            settled in prop::option::of(-3_000_000i64..3_000_000),
        ) {
            let now = origin();
            let seen = now - SignedDuration::from_millis(ago);
            let settled = settled.map(|millis| now + SignedDuration::from_millis(millis));
            let floor = settled.map_or(seen, |settled| settled.max(seen));
            let due = due(&start, missed, seen, settled, now);

            let expected = all(&start, floor, now);
            let (late, on_time): (Vec<_>, Vec<_>) =
                expected.iter().partition(|at| now.duration_since(**at) > SignedDuration::from_secs(10));
            let late_runs = match missed {
                Missed::Skip => 0,
                Missed::RunOnce => 1,
                Missed::RunAll(limit) => limit as usize,
            };
            let (gone, caught_up) = late.split_at(late.len() - late_runs.min(late.len()));
            prop_assert_eq!(&due.run, &[caught_up, &on_time[..]].concat(), "the policy, then what is on time");
            let span = gone.first().map(|first| MissedSpan {
                first: *first,
                last: gone[gone.len() - 1],
                count: (gone.len() as u64).min(MISSED_LIMIT),
            });
            prop_assert_eq!(due.missed, span);
            let next = following(&start, now.max(floor));
            prop_assert_eq!(due.next, next);
        }

        #[test]
        fn each_due_time_is_answered_once_whatever_the_clock_does(
            start in starts(), missed in missed(), clock in clock(),
        ) {
            let seen = origin() - SignedDuration::from_secs(3);
            let (mut settled, mut ran, mut spans) = (None, Vec::new(), Vec::new());
            for now in &clock {
                let answer = due(&start, missed, seen, settled, *now);
                prop_assert!(answer.run.iter().all(|at| at <= now), "never early");
                prop_assert!(answer.next.is_none_or(|next| next > *now && Some(next) > settled), "ahead");
                settled = settled.max(answer.settles());
                let again = due(&start, missed, seen, settled, *now);
                prop_assert_eq!(again, Due { run: vec![], missed: None, next: answer.next }, "asked twice");
                ran.extend(answer.run);
                spans.extend(answer.missed);
            }
            let latest = *clock.iter().max().unwrap();
            // A long absence of a schedule of seconds has too many due times to list: look at the ends of each span.
            let in_span = |at: Timestamp| spans.iter().filter(|span| span.first <= at && at <= span.last).count();
            let answered = |at: Timestamp| ran.iter().filter(|run| **run == at).count() + in_span(at);
            let mut from = seen;
            while let Some(at) = following(&start, from).filter(|at| *at <= latest) {
                prop_assert_eq!(answered(at), 1, "{} is in exactly one answer", at);
                let through = spans.iter().find(|span| span.first == at && span.count == MISSED_LIMIT);
                from = through.map_or(at, |span| span.last);
            }
            prop_assert!(ran.is_sorted_by(|a, b| a < b), "in order");
            prop_assert!(ran.iter().all(|at| seen < *at && *at <= latest));
        }
    }
}

mod admissions {
    use super::*;

    #[test]
    fn the_first_run_starts_under_every_policy() {
        for overlap in [Overlap::Skip, Overlap::Queue, Overlap::Replace, Overlap::Allow] {
            assert_eq!(admit(overlap, 0, 0, false), Admission::Start);
        }
    }

    #[test]
    fn a_run_that_overlaps_follows_the_policy() {
        assert_eq!(admit(Overlap::Skip, 1, 0, false), Admission::Skip);
        assert_eq!(admit(Overlap::Queue, 1, 0, false), Admission::Queue);
        assert_eq!(admit(Overlap::Replace, 1, 0, false), Admission::Replace);
        assert_eq!(admit(Overlap::Allow, 7, 0, false), Admission::Start);
    }

    #[test]
    fn nobody_overtakes_a_run_that_waits() {
        assert_eq!(admit(Overlap::Queue, 0, 1, false), Admission::Queue);
        assert_eq!(admit(Overlap::Skip, 0, 1, false), Admission::Skip);
        assert_eq!(admit(Overlap::Replace, 0, 1, false), Admission::Replace);
    }

    #[test]
    fn the_queue_is_bounded() {
        assert_eq!(admit(Overlap::Queue, 1, QUEUE_LIMIT - 1, false), Admission::Queue);
        assert_eq!(admit(Overlap::Queue, 1, QUEUE_LIMIT, false), Admission::Skip);
        assert_eq!(admit(Overlap::Allow, ALLOWED_AT_ONCE - 1, 0, false), Admission::Start);
        assert_eq!(admit(Overlap::Allow, ALLOWED_AT_ONCE, 0, false), Admission::Skip);
    }
}

mod jitter {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_every_release() {
        assert_eq!(stable_hash("backup"), 0x54d0_0d86_7758);
        let due = at("2026-11-20T10:00:00Z");
        let start = jittered(&ScheduleName::new("backup"), due, Duration::from_mins(1));
        assert_eq!(start, at("2026-11-20T10:00:19.877978057Z"));
    }

    #[test]
    fn names_that_differ_little_are_spread() {
        let due = at("2026-11-20T10:00:00Z");
        let mut tenths = [0; 10];
        for number in 0..1000 {
            let start = jittered(&ScheduleName::new(format!("job-{number}")), due, Duration::from_secs(10));
            tenths[usize::try_from(start.duration_since(due).as_secs()).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (60..=140).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn a_start_is_within_its_jitter_and_keeps_its_distance(
            name in "\\PC*", nanos in 0u64.., later in 0i64..1 << 50,
        ) {
            let (name, jitter) = (ScheduleName::new(name), Duration::from_nanos(nanos >> 3));
            let due = at("2026-11-20T10:00:00Z");
            let start = jittered(&name, due, jitter);
            prop_assert!(due <= start);
            prop_assert!(start < due + jitter || jitter.is_zero() && start == due);
            let later = SignedDuration::from_nanos(later);
            prop_assert_eq!(jittered(&name, due + later, jitter), start + later);
        }
    }
}

mod agendas {
    use super::*;

    fn name(number: usize) -> ScheduleName {
        ScheduleName::new(format!("s{number}"))
    }

    #[test]
    fn the_earliest_comes_first_and_once() {
        let (one, two, three) = (at("2026-11-20T01:00:00Z"), at("2026-11-20T02:00:00Z"), at("2026-11-20T03:00:00Z"));
        let mut agenda = Agenda::default();
        agenda.insert(name(3), three);
        agenda.insert(name(2), one);
        agenda.insert(name(1), one);
        assert_eq!(agenda.next(), Some(one));
        assert_eq!(agenda.take(two), [name(1), name(2)], "by time, then by name");
        assert_eq!((agenda.take(two), agenda.next(), agenda.len()), (vec![], Some(three), 1));
    }

    #[test]
    fn entering_again_moves_and_removing_forgets() {
        let (one, two) = (at("2026-11-20T01:00:00Z"), at("2026-11-20T02:00:00Z"));
        let mut agenda = Agenda::default();
        agenda.insert(name(1), one);
        agenda.insert(name(1), two);
        assert_eq!((agenda.take(one), agenda.next()), (vec![], Some(two)));
        assert_eq!((agenda.remove(&name(1)), agenda.remove(&name(1))), (Some(two), None));
        assert!(agenda.is_empty() && agenda.next().is_none());
    }

    proptest! {
        /// Against a plain map that is searched as a whole.
        #[test]
        fn it_is_a_map_that_knows_its_minimum(steps in prop::collection::vec((0u8..4, 0usize..8, 0i64..50), 0..80)) {
            let (mut agenda, mut map) = (Agenda::default(), BTreeMap::<ScheduleName, Timestamp>::new());
            for (step, number, second) in steps {
                let instant = Timestamp::from_second(second).unwrap();
                match step {
                    0 => prop_assert_eq!(agenda.remove(&name(number)), map.remove(&name(number))),
                    1 => {
                        let come = map.iter().filter(|(_, at)| **at <= instant);
                        let mut expected: Vec<_> = come.map(|(name, at)| (*at, name.clone())).collect();
                        expected.sort();
                        map.retain(|_, at| *at > instant);
                        let expected: Vec<_> = expected.into_iter().map(|(_, name)| name).collect();
                        prop_assert_eq!(agenda.take(instant), expected);
                    }
                    _ => {
                        agenda.insert(name(number), instant);
                        map.insert(name(number), instant);
                    }
                }
                prop_assert_eq!(agenda.next(), map.values().min().copied());
                prop_assert_eq!(agenda.len(), map.len());
            }
        }
    }

    #[test]
    fn ten_thousand_schedules_are_cheap() {
        let mut agenda = Agenda::default();
        let base = at("2026-11-20T10:00:00Z");
        for (number, second) in (0..10_000).zip((0..3600).cycle()) {
            agenda.insert(name(number), base + SignedDuration::from_secs(second));
        }
        for second in 0..3600 {
            let now = base + SignedDuration::from_secs(second);
            for name in agenda.take(now) {
                agenda.insert(name, now + SignedDuration::from_secs(3600));
            }
        }
        assert_eq!((agenda.len(), agenda.next()), (10_000, Some(base + SignedDuration::from_secs(3600))));
    }
}
