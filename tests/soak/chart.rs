//! ○ Several small charts under one time axis, as one SVG; faults are vertical lines through all of them.

use std::fmt::Write as _;

use crate::growth::Point;

/// One small chart.
pub struct Panel {
    pub title: String,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub color: &'static str,
    /// Said beside the chart; nothing for an empty one.
    pub label: String,
    pub points: Vec<Point>,
}

/// Something that happened, in seconds since the start.
#[derive(Debug, Clone)]
pub struct Mark {
    pub from: f64,
    pub to: f64,
    pub color: &'static str,
    pub kind: &'static str,
    /// Shown to whoever points at it.
    pub label: String,
}

const WIDTH: f64 = 1_300.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 50.0;
const HEIGHT: f64 = 95.0;
const BETWEEN: f64 = 28.0;

/// `lasting`: the end of the time axis, in seconds.
pub fn svg(title: &str, lasting: f64, panels: &[Panel], marks: &[Mark]) -> String {
    let bottom = TOP + panels.len() as f64 * (HEIGHT + BETWEEN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{h}\" viewBox=\"0 0 {WIDTH} {h}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        h = bottom + 30.0
    );
    text(&mut out, LEFT, 18.0, "start", "#000", title);
    legend(&mut out, marks);
    for mark in marks {
        let (from, to) = (x(mark.from, lasting), x(mark.to, lasting));
        let (color, height, label) = (mark.color, bottom - BETWEEN - TOP, escape(&mark.label));
        let _ = writeln!(
            out,
            "<g><title>{label}</title><rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{height}\" \
             fill=\"{color}\" opacity=\"0.1\"/><line x1=\"{from:.1}\" x2=\"{from:.1}\" y1=\"{TOP}\" y2=\"{}\" \
             stroke=\"{color}\" stroke-width=\"0.8\" opacity=\"0.7\"/></g>",
            to - from,
            TOP + height
        );
    }
    for (number, panel) in panels.iter().enumerate() {
        draw(&mut out, TOP + number as f64 * (HEIGHT + BETWEEN), lasting, panel);
    }
    let minutes = step(lasting / 60.0 / 12.0);
    let mut at = 0.0;
    while at <= lasting / 60.0 {
        text(&mut out, x(at * 60.0, lasting), bottom, "middle", "#000", &format!("{} min", short(at)));
        at += minutes;
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, top: f64, lasting: f64, panel: &Panel) {
    let values = panel.lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let most = values.fold(0.0, f64::max);
    let tick = step(most.max(1e-9) / 3.0);
    let most = (most / tick).ceil().max(1.0) * tick;
    let y = |value: f64| top + HEIGHT - value / most * HEIGHT;
    text(out, LEFT + 4.0, top - 4.0, "start", "#000", &panel.title);
    let mut value = 0.0;
    while value <= most * 1.001 {
        let (at, right) = (y(value), WIDTH - RIGHT);
        let _ = writeln!(out, "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>");
        text(out, LEFT - 6.0, at + 4.0, "end", "#555", &short(value));
        value += tick;
    }
    let mut labels = 0.0;
    for line in &panel.lines {
        let point = |(at, value): &Point| format!("{:.1},{:.1}", x(*at, lasting), y(*value));
        let points = line.points.iter().map(point).collect::<Vec<String>>().join(" ");
        let color = line.color;
        let _ = writeln!(out, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.2\"/>");
        if !line.label.is_empty() {
            text(out, WIDTH - RIGHT + 8.0, top + 10.0 + labels * 13.0, "start", color, &line.label);
            labels += 1.0;
        }
    }
}

/// Each kind of mark once, in its color.
fn legend(out: &mut String, marks: &[Mark]) {
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for mark in marks.iter().filter(|mark| !mark.kind.is_empty()) {
        if !kinds.iter().any(|known| known.0 == mark.kind) {
            kinds.push((mark.kind, mark.color));
        }
    }
    let mut at = LEFT;
    for (kind, color) in kinds {
        text(out, at, 34.0, "start", color, &format!("▎{kind}"));
        at += 20.0 + 6.5 * kind.len() as f64;
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, color: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\">{text}</text>");
}

fn x(at: f64, lasting: f64) -> f64 {
    LEFT + at / lasting * (WIDTH - LEFT - RIGHT)
}

/// The next of 1, 2, 5, 10, 20 … that is not below.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= least * 0.999).unwrap_or(power)
}

/// A number without digits that say nothing.
pub fn short(value: f64) -> String {
    let digits = if value == 0.0 || value.abs() >= 100.0 {
        0
    } else if value.abs() >= 1.0 {
        1
    } else {
        3
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
