use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn cadence(expression: &str, zone: &str) -> Cadence {
    Cadence::parse(expression, zone).unwrap_or_else(|error| panic!("{expression} {zone}: {error}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next `count` due times after an instant, as the clocks of the zone show them.
fn shown(cadence: &Cadence, after: &str, count: usize) -> Vec<String> {
    let due = std::iter::successors(cadence.next(at(after)), |due| cadence.next(*due));
    due.take(count).map(|due| due.to_zoned(cadence.time_zone.clone()).strftime("%d %b %H:%M %:z").to_string()).collect()
}

mod clock_changes {
    use super::*;

    #[test]
    fn berlin_runs_a_skipped_time_once_right_after_the_gap() {
        let daily = cadence("30 2 * * *", "Europe/Berlin");
        let days = shown(&daily, "2026-03-28T00:00:00Z", 3);
        assert_eq!(days, ["28 Mar 02:30 +01:00", "29 Mar 03:00 +02:00", "30 Mar 02:30 +02:00"]);
    }

    #[test]
    fn berlin_runs_a_repeated_time_once_the_first_time() {
        let daily = cadence("30 2 * * *", "Europe/Berlin");
        let days = shown(&daily, "2026-10-24T00:00:00Z", 3);
        assert_eq!(days, ["24 Oct 02:30 +02:00", "25 Oct 02:30 +02:00", "26 Oct 02:30 +01:00"]);
    }

    #[test]
    fn berlin_intervals_go_on_without_going_back() {
        let half_hours = cadence("*/30 * * * *", "Europe/Berlin");
        let spring = shown(&half_hours, "2026-03-29T00:15:00Z", 3);
        assert_eq!(spring, ["29 Mar 01:30 +01:00", "29 Mar 03:00 +02:00", "29 Mar 03:30 +02:00"]);
        let autumn = shown(&half_hours, "2026-10-24T23:45:00Z", 5);
        let expected = ["02:00 +02:00", "02:30 +02:00", "02:00 +01:00", "02:30 +01:00", "03:00 +01:00"];
        assert_eq!(autumn, expected.map(|time| format!("25 Oct {time}")));
    }

    #[test]
    fn a_list_of_hours_is_a_list_of_fixed_times() {
        let twice = cadence("30 2,14 * * *", "Europe/Berlin");
        let spring = shown(&twice, "2026-03-28T20:00:00Z", 2);
        assert_eq!(spring, ["29 Mar 03:00 +02:00", "29 Mar 14:30 +02:00"]);
        let autumn = shown(&twice, "2026-10-24T20:00:00Z", 2);
        assert_eq!(autumn, ["25 Oct 02:30 +02:00", "25 Oct 14:30 +01:00"]);
    }

    #[test]
    fn several_skipped_times_run_together_once() {
        let often = cadence("*/20 2,3 * * *", "Europe/Berlin");
        let spring = shown(&often, "2026-03-28T20:00:00Z", 3);
        assert_eq!(spring, ["29 Mar 03:00 +02:00", "29 Mar 03:20 +02:00", "29 Mar 03:40 +02:00"]);
    }

    #[test]
    fn an_interval_lets_a_skipped_time_go() {
        let hourly = cadence("30 * * * *", "Europe/Berlin");
        let spring = shown(&hourly, "2026-03-29T00:00:00Z", 2);
        assert_eq!(spring, ["29 Mar 01:30 +01:00", "29 Mar 03:30 +02:00"]);
    }

    #[test]
    fn the_moment_of_a_change_shows_the_new_time() {
        let even_hours = cadence("0 */2 * * *", "Europe/Berlin");
        let change = at("2026-03-29T01:00:00Z");
        assert_eq!(even_hours.previous(change), Some(at("2026-03-28T23:00:00Z")), "the clock shows 3, never 2");
        assert_eq!(even_hours.next(at("2026-03-28T23:00:00Z")), Some(at("2026-03-29T02:00:00Z")));
    }

    #[test]
    fn new_york_changes_at_its_own_dates() {
        let daily = cadence("30 2 * * *", "America/New_York");
        assert_eq!(shown(&daily, "2026-03-08T00:00:00Z", 1), ["08 Mar 03:00 -04:00"]);
        let daily = cadence("30 1 * * *", "America/New_York");
        let autumn = shown(&daily, "2026-11-01T00:00:00Z", 2);
        assert_eq!(autumn, ["01 Nov 01:30 -04:00", "02 Nov 01:30 -05:00"]);
    }

    #[test]
    fn lord_howe_changes_by_half_an_hour() {
        let gap = cadence("15 2 * * *", "Australia/Lord_Howe");
        assert_eq!(shown(&gap, "2026-10-03T12:00:00Z", 1), ["04 Oct 02:30 +11:00"]);
        let outside = cadence("45 2 * * *", "Australia/Lord_Howe");
        assert_eq!(shown(&outside, "2026-10-03T12:00:00Z", 1), ["04 Oct 02:45 +11:00"]);
        let fold = cadence("45 1 * * *", "Australia/Lord_Howe");
        assert_eq!(shown(&fold, "2026-04-04T12:00:00Z", 2), ["05 Apr 01:45 +11:00", "06 Apr 01:45 +10:30"]);
        let quarters = cadence("*/15 * * * *", "Australia/Lord_Howe");
        let autumn = shown(&quarters, "2026-04-04T14:30:00Z", 4);
        let expected = ["01:45 +11:00", "01:30 +10:30", "01:45 +10:30", "02:00 +10:30"];
        assert_eq!(autumn, expected.map(|time| format!("05 Apr {time}")));
    }

    #[test]
    fn a_day_that_a_zone_left_out_runs_when_the_next_one_begins() {
        let noon = cadence("0 12 * * *", "Pacific/Apia");
        let days = shown(&noon, "2011-12-29T12:00:00Z", 3);
        assert_eq!(days, ["29 Dec 12:00 -10:00", "31 Dec 00:00 +14:00", "31 Dec 12:00 +14:00"]);
    }

    /// Clock changes of 2026: the hour before them, in UTC.
    const CHANGES: [(&str, &str); 9] = [
        ("Europe/Berlin", "2026-03-29T00:00:00Z"),
        ("Europe/Berlin", "2026-10-25T00:00:00Z"),
        ("America/New_York", "2026-03-08T06:00:00Z"),
        ("America/New_York", "2026-11-01T05:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T14:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T14:30:00Z"),
        ("Africa/Cairo", "2026-04-23T21:00:00Z"),
        ("Africa/Cairo", "2026-10-29T20:00:00Z"),
        ("UTC", "2026-06-01T00:00:00Z"),
    ];

    const EXPRESSIONS: [&str; 15] = [
        "30 2 * * *",
        "30 1 * * *",
        "15 0 * * *",
        "0 3 * * *",
        "30 2,14 * * *",
        "*/20 1-3 * * *",
        "0,45 0-23 * * *",
        "*/30 * * * *",
        "17 */2 * * *",
        "0 */2 * * *",
        "* * * * *",
        "59 23 * * *",
        "30 2 29 3 *",
        "15,45 */23,1,2 * * *",
        "0 0 1,L * 1",
    ];

    /// The rule of this file's head, minute by minute: every minute of the wall clock, turned into instants.
    fn by_the_rule(cadence: &Cadence, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
        let zone = &cadence.time_zone;
        let mut shown = zone.to_datetime(from).checked_sub(2.days()).unwrap();
        let mut due = BTreeSet::new();
        while shown < zone.to_datetime(to).checked_add(2.days()).unwrap() {
            if cadence.cron.is_time_matching(&shown).unwrap() {
                let ambiguous = zone.to_ambiguous_timestamp(shown);
                match (ambiguous.offset(), cadence.is_interval()) {
                    (AmbiguousOffset::Unambiguous { .. }, _) | (AmbiguousOffset::Fold { .. }, false) => {
                        due.insert(ambiguous.earlier().unwrap());
                    }
                    (AmbiguousOffset::Fold { .. }, true) => {
                        due.insert(ambiguous.earlier().unwrap());
                        due.insert(ambiguous.later().unwrap());
                    }
                    (AmbiguousOffset::Gap { after, .. }, false) => {
                        let mut minute = ambiguous.earlier().unwrap();
                        while zone.to_offset(minute) != after {
                            minute += SignedDuration::from_mins(1);
                        }
                        due.insert(minute);
                    }
                    (AmbiguousOffset::Gap { .. }, true) => {}
                }
            }
            shown = shown.checked_add(1.minute()).unwrap();
        }
        due.into_iter().filter(|due| from < *due && *due <= to).collect()
    }

    #[test]
    fn ahead_and_back_both_give_what_the_rule_gives() {
        for (zone, change) in CHANGES {
            let (from, to) = (at(change) - 26.hours(), at(change) + 50.hours());
            for expression in EXPRESSIONS {
                let cadence = cadence(expression, zone);
                let expected = by_the_rule(&cadence, from, to);
                let ahead: BTreeSet<_> = std::iter::successors(cadence.next(from), |due| cadence.next(*due))
                    .take_while(|due| *due <= to)
                    .collect();
                let back: BTreeSet<_> =
                    std::iter::successors(cadence.previous(to), |due| cadence.previous(*due - 1.nanosecond()))
                        .take_while(|due| from < *due)
                        .collect();
                assert_eq!(ahead, expected, "{cadence}, ahead");
                assert_eq!(back, expected, "{cadence}, back");
            }
        }
    }

    proptest! {
        #[test]
        fn back_finds_what_ahead_announces(
            (zone, change) in prop::sample::select(&CHANGES[..]),
            expression in prop::sample::select(
                [&EXPRESSIONS[..], &["* * * * * *", "*/7 * 2 * * *", "30 0 2 * * *", "0 0 12 LW * *", "0 12 15W * *"]]
                    .concat()
            ),
            start in -10_800_000i64..14_400_000,
            between in 0.0f64..1.0,
        ) {
            let cadence = cadence(expression, zone);
            let mut from = at(change) + SignedDuration::from_millis(start);
            for _ in 0..20 {
                let due = cadence.next(from).unwrap();
                prop_assert!(due > from, "next goes on");
                prop_assert_eq!(cadence.previous(due), Some(due), "a due time is its own latest");
                let wait = due.duration_since(from);
                let moment = from + wait.mul_f64(between).min(wait - SignedDuration::from_nanos(1));
                let before = cadence.previous(moment).unwrap();
                prop_assert!(before <= from, "nothing is due between {from} and {due}, yet {before} is");
                prop_assert_eq!(cadence.next(before), Some(due), "and the one before it leads to it");
                from = due;
            }
        }
    }
}

mod texts {
    use super::*;

    #[test]
    fn seconds_names_and_special_days_are_read() {
        let due = |expression| cadence(expression, "UTC").next(at("2026-11-20T12:00:00Z")).unwrap().to_string();
        assert_eq!(due("*/10 * * * * *"), "2026-11-20T12:00:10Z");
        assert_eq!(due("0 8 * jan-MAR mon,Fri"), "2027-01-01T08:00:00Z");
        assert_eq!(due("0 8 L * *"), "2026-11-30T08:00:00Z");
        assert_eq!(due("0 8 LW * ?"), "2026-11-30T08:00:00Z");
        assert_eq!(due("0 8 15W * *"), "2026-12-15T08:00:00Z");
        assert_eq!(due("0 8 * * FRI#2"), "2026-12-11T08:00:00Z");
        assert_eq!(due("0 8 * * FRIL"), "2026-11-27T08:00:00Z");
        assert_eq!(due("0 8 13 * +FRI"), "2027-08-13T08:00:00Z");
        assert_eq!(due("0 0 29 2 *"), "2028-02-29T00:00:00Z");
        assert_eq!(due("@Hourly"), "2026-11-20T13:00:00Z");
        assert_eq!(due("@weekly"), "2026-11-22T00:00:00Z");
        assert_eq!(
            cadence("0 0 * * 0", "UTC").next(at("2026-11-20T12:00:00Z")),
            cadence("0 0 * * 7", "UTC").next(at("2026-11-20T12:00:00Z"))
        );
    }

    #[test]
    fn a_mistake_in_the_expression_says_what_is_wrong() {
        let problem = |expression| match Cadence::parse(expression, "Europe/Berlin").unwrap_err() {
            CadenceError::Expression { problem, remedy } => {
                assert!(!remedy.is_empty());
                problem
            }
            error @ CadenceError::Zone { .. } => panic!("blamed on the zone: {error}"),
        };
        assert_eq!(problem(" "), "the cron expression is empty");
        assert_eq!(problem("0 0 31 2 *"), "`0 0 31 2 *` never fires: no date fits its day, month and weekday");
        assert_eq!(
            problem("0 0 31 4,6,9,11 *"),
            "`0 0 31 4,6,9,11 *` never fires: no date fits its day, month and weekday"
        );
        assert_eq!(problem("0 8 * * 1-5,"), "the list `1-5,` (weekday) has an empty item");
        assert_eq!(problem(", 8 * * *"), "the list `,` (minute) has an empty item");
        assert_eq!(problem("1,,2 8 * * *"), "the list `1,,2` (minute) has an empty item");
        assert_eq!(problem("0 25 * * *"), "`25` does not fit the hour field");
        assert_eq!(problem("60 8 * * * *"), "`60` does not fit the second field");
        assert_eq!(problem("0 8 * * FRI-MON"), "`FRI-MON` does not fit the weekday field");
        assert_eq!(problem("0 8 * * L"), "`L` does not fit the weekday field");
        assert_eq!(problem("0 8 L,LW * *"), "`L,LW` (day of month) asks for more than one last day");
        assert_eq!(problem("0 MON * * *"), "`MON` does not fit the hour field");
        assert_eq!(problem("0 8 * 1JAN *"), "`1JAN` does not fit the month field");
        assert_eq!(problem("0 8 * * ſun"), "`ſun` does not fit the weekday field");
        assert_eq!(problem("*/90 * * * *"), "the step of `*/90` is longer than the minute field");
        assert_eq!(problem("*/0 * * * *"), "`*/0` does not fit the minute field");
        assert_eq!(problem("* * *"), "`* * *` has 3 fields");
        assert_eq!(problem("0 0 8 1 1 * 2027"), "`0 0 8 1 1 * 2027` has seven fields, and years are not supported");
        assert_eq!(problem("@reboot"), "`@reboot` is not known");
        assert_eq!(problem("@daily @daily"), "`@daily @daily` has 2 fields");
        assert_eq!(problem("@daily 0 8 * *"), "`@daily` does not fit the minute field");
    }

    #[test]
    fn a_mistake_in_the_zone_is_told_apart() {
        let remedy = |zone| match Cadence::parse("@daily", zone).unwrap_err() {
            CadenceError::Zone { problem, remedy } => {
                assert_eq!(problem, format!("`{zone}` is not a time zone"));
                remedy
            }
            error @ CadenceError::Expression { .. } => panic!("blamed on the expression: {error}"),
        };
        assert_eq!(remedy("berlin"), "write `Europe/Berlin`");
        assert_eq!(remedy("New York"), "write `America/New_York`");
        for unknown in ["", "+02:00", "Etc/Unknown", "Mars/Base"] {
            assert_eq!(remedy(unknown), "write a name of the IANA database such as `Europe/Berlin` or `UTC`");
        }
    }

    #[test]
    fn it_is_its_two_texts() {
        let daily = cadence(" 30  2 * * * ", "europe/berlin");
        assert_eq!((daily.expression(), daily.zone()), ("30 2 * * *", "Europe/Berlin"));
        assert_eq!(daily.to_string(), "30 2 * * * Europe/Berlin");
        assert_eq!(daily, cadence("30 2 * * *", "Europe/Berlin"));
        assert_ne!(daily, cadence("30 2 * * *", "UTC"));
        assert_ne!(daily, cadence("31 2 * * *", "Europe/Berlin"));
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(
            text in "\\PC*",
            fields in "[0-9*,/#LWa-z+?-]{1,4}( [0-9*,/#LWA-Z?-]{1,4}){4,5}",
        ) {
            let _ = (Cadence::parse(&text, &text), Cadence::parse(&fields, "UTC"));
        }
    }

    #[test]
    fn the_ends_of_time_are_ends() {
        let minutely = cadence("* * * * *", "Europe/Berlin");
        assert_eq!(minutely.next(Timestamp::MAX), None);
        assert_eq!(minutely.previous(Timestamp::MIN), None);
        let daily = cadence("30 2 * * *", "Europe/Berlin");
        assert_eq!(daily.next(Timestamp::MAX), None);
        assert_eq!(daily.previous(Timestamp::MIN), None);
    }
}
