use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn bar(planned: Option<(u64, u64)>, actual: Option<(u64, u64)>, deadline: Option<u64>, state: BarState) -> Bar {
    let pair = |(from, to)| (ms(from), ms(to));
    Bar {
        planned: planned.map(pair),
        actual: actual.map(pair),
        deadline: deadline.map(ms),
        state,
        label: String::new(),
    }
}

fn row(task: &str, lane: &str, cpu: Option<u32>, bars: Vec<Bar>) -> ChartRow {
    ChartRow { task: task.to_owned(), lane: lane.to_owned(), cpu, bars }
}

/// One of everything.
fn showcase() -> Chart {
    use BarState::{Cancelled, Failed, Planned, Running, Skipped, Succeeded, TimedOut};
    let labelled = |label: &str, bar: Bar| Bar { label: label.to_owned(), ..bar };
    let loops: Vec<Bar> = (0..12)
        .map(|k| {
            let (due, late) = (20 + k * 70, if k == 7 { 14 } else { 0 });
            let state = if k == 7 { TimedOut } else { Succeeded };
            bar(Some((due, due + 24)), Some((due + late, due + 22 + 2 * late)), Some(due + 40), state)
        })
        .collect();
    let fast: Vec<Bar> = (0..8000)
        .map(|k| {
            let at = Duration::from_micros(100 * k);
            let state = if k == 4321 { Failed } else { Succeeded };
            Bar {
                planned: Some((at, at)),
                actual: Some((at, at + Duration::from_micros(40))),
                deadline: None,
                state,
                label: String::new(),
            }
        })
        .collect();
    Chart {
        title: "Press line, shift start".to_owned(),
        subtitle: "run 01J9Z2 of commit 4f1c2ab, started 2026-11-20 06:00:00 UTC".to_owned(),
        length: ms(900),
        rows: vec![
            row("read-sensors", "127.0.0.1:7001", Some(2), loops),
            row("fast-loop", "127.0.0.1:7001", Some(2), fast),
            row(
                "home-axes",
                "press/axes",
                Some(3),
                vec![labelled("exit 0", bar(Some((50, 300)), Some((52, 280)), Some(400), Succeeded))],
            ),
            row(
                "move-to-start",
                "press/axes",
                Some(3),
                vec![labelled("exit 3, axis 2 blocked", bar(Some((300, 480)), Some((300, 391)), Some(520), Failed))],
            ),
            row(
                "calibrate",
                "press/axes",
                Some(3),
                vec![labelled("needs move-to-start", bar(Some((500, 640)), None, None, Skipped))],
            ),
            row(
                "warm-up-the-hydraulic-unit-of-the-press",
                "sh -c heat",
                None,
                vec![bar(Some((100, 500)), Some((160, 700)), Some(620), Succeeded)],
            ),
            row("log-temperature", "sh -c heat", None, vec![bar(Some((520, 700)), Some((530, 610)), None, Cancelled)]),
            row(
                "watch",
                "sh -c heat",
                None,
                vec![labelled("attempt 2", bar(Some((600, 880)), Some((605, 760)), Some(890), Running))],
            ),
            row("report", "sh -c report", None, vec![bar(Some((780, 860)), None, Some(895), Planned)]),
        ],
    }
}

/// Small enough to read its snapshot, with a sign of every kind.
fn small() -> Chart {
    let mut chart = showcase();
    chart.rows.retain(|row| row.task != "fast-loop");
    if let Some(row) = chart.rows.first_mut() {
        row.bars.drain(2..7);
        row.bars.truncate(4);
    }
    chart
}

#[test]
fn the_svg_of_a_small_chart() {
    let svg = svg(&small());
    let picture = svg.split_once("</defs>").map(|(_, picture)| picture);
    insta::assert_snapshot!("small_svg", picture.unwrap());
}

#[test]
fn the_text_of_a_small_chart() {
    insta::assert_snapshot!("small_text", text(&small(), 100));
}

/// All texts of an element, joined.
fn texts(svg: &str, tag: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let elements = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", tag)));
    elements.map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn texts_are_escaped_and_come_back_as_written() {
    let odd = r#"<b>&"'`]]>"#;
    let chart = Chart {
        title: odd.to_owned(),
        subtitle: format!("{odd}\u{1}\u{202e}\u{fffe}\n"),
        length: ms(10),
        rows: vec![row(
            odd,
            odd,
            None,
            vec![Bar { label: odd.to_owned(), ..bar(None, Some((1, 2)), None, BarState::Failed) }],
        )],
    };
    let svg = svg(&chart);
    assert!(!svg.contains("<b>"));
    let texts = texts(&svg, "text");
    assert_eq!(texts.iter().filter(|text| *text == odd).count(), 4, "title, lane, task and label in {texts:?}");
    assert!(texts.contains(&format!("{odd}\u{fffd}\u{fffd}\u{fffd} ")));
    let lines = text(&chart, 80);
    assert!(!lines.contains('`') && !lines.contains('\u{1}') && !lines.contains('\u{202e}'));
}

#[test]
fn long_names_are_cut_and_kept_in_a_tooltip() {
    let long = "a-very-long-task-name-that-does-not-fit-anywhere";
    let chart = Chart { length: ms(10), rows: vec![row(long, "", None, vec![])], ..Chart::default() };
    assert!(
        svg(&chart).contains("<title>a-very-long-task-name-that-does-not-fit-anywhere</title>a-very-long-task-name-t…")
    );
    assert!(text(&chart, 80).contains(" a-very-long-task-name-…  │"));
}

#[test]
fn an_empty_chart_says_so() {
    let chart = Chart { title: "Nothing".to_owned(), ..Chart::default() };
    assert!(texts(&svg(&chart), "text").contains(&"no tasks".to_owned()));
    assert!(text(&chart, 60).contains("no tasks"));
}

#[test]
fn a_chart_without_length_is_drawn_at_its_start() {
    let bars = vec![bar(Some((0, 0)), Some((0, 0)), Some(0), BarState::Succeeded)];
    let chart = Chart { rows: vec![row("instant", "", None, bars)], ..Chart::default() };
    let svg = svg(&chart);
    assert!(texts(&svg, "text").contains(&"0".to_owned()));
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert!(text(&chart, 60).contains("┃"));
}

#[test]
fn the_axis_grows_to_the_last_end_but_not_to_a_far_deadline() {
    let bars = vec![bar(Some((0, 10)), Some((0, 40)), Some(5000), BarState::Succeeded)];
    let chart = Chart { length: ms(20), rows: vec![row("over", "", None, bars)], ..Chart::default() };
    assert!(texts(&svg(&chart), "text").contains(&"40 ms".to_owned()));
    assert!(!svg(&chart).contains("class=\"deadline\" stroke-width"));
}

#[test]
fn states_are_shown_without_colour() {
    for state in BarState::ALL {
        let bars = vec![bar(Some((1, 4)), Some((1, 5)), None, state)];
        let chart = Chart { length: ms(10), rows: vec![row("task", "", None, bars)], ..Chart::default() };
        let sign = format!("<use href=\"#s-{}\"/>", svg_style::class(state));
        // In the picture and in the legend; a bar that is planned has no filling instead.
        let expected = if state == BarState::Planned { 0 } else { 2 };
        assert_eq!(svg(&chart).matches(&sign).count(), expected, "{state:?}");
        assert!(text(&chart, 60).contains(state.glyph()), "{state:?}");
    }
    let glyphs: std::collections::BTreeSet<char> = BarState::ALL.into_iter().map(BarState::glyph).collect();
    assert_eq!(glyphs.len(), BarState::ALL.len());
}

#[test]
fn what_cannot_be_told_apart_is_one_bar_with_a_count_and_a_failure_among_it_is_seen() {
    let chart = showcase();
    let svg = svg(&chart);
    assert!(
        svg.len() < 40_000,
        "{} bytes for {} bars",
        svg.len(),
        chart.rows.iter().map(|row| row.bars.len()).sum::<usize>()
    );
    let titles = texts(&svg, "title");
    let counts = titles
        .iter()
        .filter_map(|title| title.strip_prefix("fast-loop: ")?.split_once(" times")?.0.parse::<usize>().ok());
    assert_eq!(counts.sum::<usize>(), 8000);
    assert!(titles.iter().any(|title| title.starts_with("fast-loop: ") && title.contains(", 1 failed")));
}

#[test]
fn a_thousand_rows_of_a_hundred_bars_stay_bounded() {
    let bars = |_| (0..100).map(|k| bar(Some((k, k)), Some((k, k)), None, BarState::Succeeded)).collect();
    let rows = (0..1000).map(|n| row(&format!("task-{n}"), &format!("lane-{}", n % 7), None, bars(n))).collect();
    let chart = Chart { length: ms(1_000_000), rows, ..Chart::default() };
    let svg = svg(&chart);
    assert!(svg.len() < 1_000_000, "{} bytes", svg.len());
    let document = roxmltree::Document::parse(&svg).unwrap();
    let height: f64 = document.root_element().attribute("height").unwrap().parse().unwrap();
    assert!(height > 30_000.0 && height < 31_000.0, "{height}");
    assert_eq!(texts(&svg, "text").iter().filter(|text| text.starts_with("task-")).count(), 1000);
    assert_eq!(text(&chart, 100).lines().filter(|line| line.starts_with(" task-")).count(), 1000);
}

#[test]
fn bars_that_cross_each_other_stay_bounded() {
    let bars =
        (0..20_000_u64).map(|k| bar(None, Some((k, k + k * 7919 % 10_007)), None, BarState::Succeeded)).collect();
    let chart = Chart { rows: vec![row("wild", "", None, bars)], ..Chart::default() };
    let svg = svg(&chart);
    assert!(svg.len() < 600_000, "{} bytes", svg.len());
    let drawn = svg.matches("<title>wild").count();
    assert!(drawn > 20, "{drawn}");
}

#[test]
fn colours_stand_once_for_light_and_once_for_dark() {
    let (light, dark) = svg_style::STYLE.split_once("@media (prefers-color-scheme:dark)").unwrap();
    for state in BarState::ALL {
        for class in [format!(".{}{{fill:", svg_style::class(state)), format!(".sign.{}{{", svg_style::class(state))] {
            assert!(light.contains(&class) && dark.contains(&class), "{class}");
        }
    }
}

fn any_bar() -> impl Strategy<Value = Bar> {
    let pair = || prop::option::of((any::<u32>(), any::<u32>()));
    let state = prop::sample::select(BarState::ALL.to_vec());
    (pair(), pair(), prop::option::of(any::<u32>()), state, ".{0,8}").prop_map(
        |(planned, actual, deadline, state, label)| {
            let time = |n: u32| Duration::from_micros(u64::from(n));
            let pair = |(from, to)| (time(from), time(to));
            Bar { planned: planned.map(pair), actual: actual.map(pair), deadline: deadline.map(time), state, label }
        },
    )
}

fn any_chart() -> impl Strategy<Value = Chart> {
    let row = (any::<String>(), "[ab<&]{0,2}", prop::option::of(0..3_u32), prop::collection::vec(any_bar(), 0..6))
        .prop_map(|(task, lane, cpu, bars)| ChartRow { task, lane, cpu, bars });
    (any::<String>(), any::<String>(), any::<u64>(), prop::collection::vec(row, 0..6)).prop_map(
        |(title, subtitle, length, rows)| Chart { title, subtitle, length: Duration::from_nanos(length), rows },
    )
}

proptest! {
    #[test]
    fn every_svg_is_well_formed_stays_inside_and_is_the_same_again(chart in any_chart()) {
        let picture = svg(&chart);
        prop_assert_eq!(&picture, &svg(&chart));
        let document = roxmltree::Document::parse(&picture);
        prop_assert!(document.is_ok(), "{:?}", document.err());
        let document = document.unwrap();
        let names = document.descendants().filter(|node| node.attribute("class") == Some("task"));
        prop_assert_eq!(names.count(), chart.rows.len());
        for rect in document.descendants().filter(|node| node.tag_name().name() == "rect") {
            let of = |name| rect.attribute(name).unwrap().parse::<f64>().unwrap();
            prop_assert!(of("x") >= 0.0 && of("width") >= 0.0 && of("x") + of("width") <= 960.0);
        }
    }

    #[test]
    fn every_text_fits_its_width_and_names_every_row(chart in any_chart(), width in 0_usize..160) {
        let lines = text(&chart, width);
        prop_assert_eq!(&lines, &text(&chart, width));
        for line in lines.lines() {
            prop_assert!(line.chars().count() <= width.max(40), "{line}");
        }
        prop_assert!(lines.lines().filter(|line| line.contains('│')).count() >= chart.rows.len());
    }
}
