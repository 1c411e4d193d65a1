//! The pure parts of the long run, which `make soak` makes use of: load, plan, growth, books and chart.

#![allow(unreachable_pub)] // no crate uses this one: the compiler finds dead code behind `pub` as well

mod chart;
mod growth;
mod plan;
mod report;
mod samples;
mod waves;

use std::collections::BTreeMap;

use rand::{SeedableRng as _, rngs::SmallRng};

use chart::{Line, Mark, Panel};
use growth::{Bound, Growth, Point};
use plan::{Fault, Planned};
use report::Books;
use samples::{FIRST, Numbers, Sample};
use waves::{WAVES, Waves};

const HALF_AN_HOUR: f64 = 1_800.0;

fn dice(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed)
}

#[test]
fn the_load_swells_ebbs_and_has_a_spike_in_each_wave() {
    let waves = Waves::new(300.0, HALF_AN_HOUR, &mut dice(1));
    let rates: Vec<f64> = (0..18_000).map(|tenth| waves.rate(f64::from(tenth) / 10.0)).collect();
    let calm: Vec<f64> = rates.iter().copied().filter(|rate| *rate <= 450.0).collect();
    assert!(calm.iter().any(|rate| *rate > 449.0) && calm.iter().any(|rate| *rate < 151.0), "half more, half less");
    assert!(rates.iter().all(|rate| (150.0..=1_350.0).contains(rate)));
    // A twentieth of the time has three times as much, wherever in its wave that is.
    let all = rates.iter().sum::<f64>() / rates.len() as f64;
    assert!((315.0..345.0).contains(&all), "{all} on the average");
    let sudden = rates.windows(2).filter(|pair| (pair[1] - pair[0]).abs() > 100.0).count();
    assert_eq!(sudden, 2 * WAVES as usize, "each spike begins and ends");
}

#[test]
fn the_same_dice_give_the_same_run() {
    let of = |seed| {
        let mut dice = dice(seed);
        (Waves::new(300.0, HALF_AN_HOUR, &mut dice).rate(700.0), plan::plan(HALF_AN_HOUR, &mut dice))
    };
    assert_eq!(of(7), of(7));
    assert_ne!(of(7).1, of(8).1);
}

#[test]
fn every_fault_comes_in_each_round_and_ends_in_time() {
    for lasting in [180.0, HALF_AN_HOUR, 28_800.0] {
        let planned = plan::plan(lasting, &mut dice(3));
        let rounds = planned.chunks_exact(plan::ROUND.len());
        assert!(rounds.len() >= 1, "{} faults in {lasting} s", planned.len());
        for round in rounds {
            assert!(plan::ROUND.iter().all(|fault| round.iter().any(|planned| planned.fault == *fault)));
        }
        let in_time = |Planned { from, to, .. }: &Planned| *from > 0.0 && from < to && *to < lasting;
        assert!(planned.iter().all(in_time));
    }
}

#[test]
fn what_begins_ends_later() {
    let steps = plan::steps(&plan::plan(HALF_AN_HOUR, &mut dice(4)));
    assert!(steps.windows(2).all(|pair| pair[0].at <= pair[1].at));
    for fault in plan::ROUND {
        let mut open = 0;
        for step in steps.iter().filter(|step| step.fault == fault) {
            open += if step.begins { 1 } else { -1 };
            assert!(open >= 0, "{fault} ends before it begins");
        }
        assert_eq!(open, 0, "{fault}");
    }
    assert_eq!(Fault::Killed.to_string(), "kill -9 of an instance");
}

fn points(count: u32, value: impl Fn(f64) -> f64) -> Vec<Point> {
    (0..count).map(|index| f64::from(index) * 5.0).map(|at| (at, value(at))).collect()
}

#[test]
fn a_line_is_laid_through_what_swings() {
    let growth = Growth::of(&points(361, |at| 100.0 + at / 36.0 + 5.0 * (at / 10.0).sin()), None).expect("a line");
    assert!((99.0..101.0).contains(&growth.per_hour), "{growth:?}");
    assert!((49.0..51.0).contains(&growth.risen), "{growth:?}");
    assert!(growth.start < growth.middle && growth.middle < growth.end && growth.end < growth.most);
    assert!(!growth.grows(), "nothing was promised");
    assert_eq!(Growth::of(&points(1, |_| 1.0), None), None);
    assert_eq!(Growth::of(&[], None), None);
}

#[test]
fn a_rise_is_measured_by_its_bound() {
    let grows = |per_second: f64, bound| {
        Growth::of(&points(361, |at| 200.0 + at * per_second), Some(bound)).expect("a line").grows()
    };
    let bound = Bound { part: 0.1, floor: 24.0 };
    assert!(!grows(23.0 / 1_800.0, bound));
    assert!(grows(25.0 / 1_800.0, bound));
    assert!(!grows(25.0 / 1_800.0, Bound { part: 0.2, ..bound }), "a part of 212 is more than the floor");
    assert!(!grows(-1.0, bound), "it becomes less");
}

#[test]
fn what_rises_to_a_height_and_stays_there_does_not_grow() {
    let bound = Some(Bound { part: 0.1, floor: 24.0 });
    let grows = |number: fn(f64) -> f64| Growth::of(&points(361, number), bound).expect("a line").grows();
    assert!(!grows(|at| 100.0 + (at / 18.0).min(40.0)), "it has stopped");
    assert!(grows(|at| 100.0 + at / 30.0), "it goes on");
    assert!(grows(|at| 100.0 + (at / 30.0 - 20.0).max(0.0)), "it has begun");
}

#[test]
fn books_are_right_when_everything_ended_once() {
    let sound = Books { expected: 10, delivered: 7, dead_letters: 3, duplicates: 5, ..Books::default() };
    assert_eq!(sound.problems(), Vec::<String>::new());
    assert!(sound.to_string().ends_with("0 LOST; 0 commits EARLY; 5 duplicates"), "{sound}");
    assert_eq!(Books { delivered: 6, lost: 1, ..sound }.problems(), ["1 events are lost"]);
    assert_eq!(Books { early: 2, ..sound }.problems(), ["2 commits came early"]);
    assert_eq!(Books { delivered: 5, backlog: 2, ..sound }.problems(), ["2 events still wait"]);
    assert_eq!(Books { delivered: 6, ..sound }.problems(), ["1 events are not accounted for"]);
    assert_eq!(Books::default().problems(), ["1 run without events"]);
}

/// Half an hour in which the first instance's memory and one table grow, and a second instance comes late.
fn run() -> Vec<Sample> {
    let sample = |index: u32| {
        let at = f64::from(index) * 5.0;
        let number = |name: &str, value: f64| (name.to_owned(), value);
        let whole =
            [number("p99_ms", 8.0), number("table_mib attempt", at / 10.0), number("table_mib backlog", at / 10.0)];
        let mut instances =
            BTreeMap::from([(FIRST, Numbers::from([number("rss_mib", 80.0 + at / 20.0), number("threads", 30.0)]))]);
        if index > 300 {
            instances.insert(2, Numbers::from([number("rss_mib", 60.0)]));
        }
        Sample { at, whole: Numbers::from(whole), instances }
    };
    (0..=360).map(sample).collect()
}

#[test]
fn what_grows_beyond_its_bound_is_a_problem_and_history_is_none() {
    let rows = report::rows(&run(), HALF_AN_HOUR);
    assert_eq!(report::grows(&rows), ["RSS, MiB grows: 180 an hour", "table backlog, MiB grows: 360 an hour"]);
    let table = report::table(&rows);
    let line =
        |what: &str| table.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}: {table}"));
    assert!(line("RSS, MiB").ends_with("GROWS") && line("threads").ends_with("flat"), "{table}");
    assert!(line("table attempt, MiB").trim_end().ends_with("144"), "a rise without a bound: {table}");
}

#[test]
fn samples_are_rows_of_csv_with_a_column_for_each_number() {
    let text = samples::csv_of_instances(&run());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["at_s,instance,rss_mib,threads", "0.0,1,80,30"]);
    assert_eq!(lines.last(), Some(&"1800.0,2,60,"), "what is missing is left out");
    assert!(samples::csv_of_whole(&run()).starts_with("at_s,p99_ms,table_mib attempt,table_mib backlog\n0.0,8,0,0\n"));
}

#[test]
fn the_chart_has_every_panel_and_every_fault() {
    let mark =
        |from: f64, label: &str| Mark { from, to: from + 9.0, color: "#f00", kind: "away", label: label.to_owned() };
    let text =
        chart::svg("a <run>", HALF_AN_HOUR, &report::panels(&run()), &[mark(60.0, "Kafka"), mark(90.0, "Postgres")]);
    assert!(text.contains("a &lt;run&gt;") && text.contains(">30 min<"));
    assert!(text.contains("<title>Kafka</title>") && text.contains("<title>Postgres</title>"));
    assert_eq!(text.matches("▎away").count(), 1, "a kind is explained once");
    assert!(text.contains(">RSS, MiB<") && text.contains(">the first instance<"));
    let open = |tag: &str| text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
    for tag in ["g", "text", "title", "svg"] {
        assert_eq!(open(tag), text.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn a_line_stays_inside_its_panel() {
    let panel = Panel {
        title: "one".to_owned(),
        lines: vec![Line { color: "#00f", label: String::new(), points: vec![(0.0, 0.0), (10.0, 7.0)] }],
    };
    let text = chart::svg("", 10.0, &[panel], &[]);
    let points = text.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a line").trim();
    let (first, last) = points.split_once(' ').expect("two points");
    assert_eq!((first, last), ("70.0,145.0", "1110.0,78.5"));
    assert_eq!([0.0, 1_234.6, 1.5, 0.125].map(chart::short), ["0", "1235", "1.5", "0.125"]);
}
