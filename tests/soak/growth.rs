//! ○ Growth: a line through what was sampled, and what it may rise.

/// A time in seconds, and what was seen then.
pub type Point = (f64, f64);

/// The most that a number may rise from the first to the last sample: a part of its mean, or so much, whichever is more.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub part: f64,
    pub floor: f64,
}

/// A number in the course of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Means of the first, the middle and the last tenth of the samples.
    pub start: f64,
    pub middle: f64,
    pub end: f64,
    pub most: f64,
    pub per_hour: f64,
    /// The rise of the line from the first to the last sample.
    pub risen: f64,
    /// The same of a line through the second half alone, as if all the time had been like it.
    pub risen_later: f64,
    /// Nothing is promised of a number without.
    pub allowed: Option<f64>,
}

impl Growth {
    /// `None` where there is too little to lay a line through.
    pub fn of(points: &[Point], bound: Option<Bound>) -> Option<Self> {
        let (first, last) = (points.first()?.0, points.last()?.0);
        let slope = slope(points)?;
        let tenth = points.len().div_ceil(10);
        let middle = (points.len() - tenth) / 2;
        let average = mean(points);
        Some(Growth {
            start: mean(&points[..tenth]),
            middle: mean(&points[middle..middle + tenth]),
            end: mean(&points[points.len() - tenth..]),
            most: points.iter().map(|point| point.1).fold(f64::MIN, f64::max),
            per_hour: slope * 3600.0,
            risen: slope * (last - first),
            risen_later: self::slope(&points[points.len() / 2..]).unwrap_or(slope) * (last - first),
            allowed: bound.map(|bound| (bound.part * average).max(bound.floor)),
        })
    }

    /// True if it rises beyond its bound and goes on doing so: what is only reached later than in the warm-up (a peak that the
    /// allocator keeps room for, say) has stopped rising in the second half.
    pub fn grows(&self) -> bool {
        self.allowed.is_some_and(|allowed| self.risen > allowed && self.risen_later > allowed)
    }
}

/// The line with the least squares, a second.
fn slope(points: &[Point]) -> Option<f64> {
    let count = points.len() as f64;
    let at = points.iter().map(|point| point.0).sum::<f64>() / count;
    let average = mean(points);
    let together: f64 = points.iter().map(|point| (point.0 - at) * (point.1 - average)).sum();
    let spread: f64 = points.iter().map(|point| (point.0 - at).powi(2)).sum();
    (spread > 0.0).then(|| together / spread)
}

fn mean(points: &[Point]) -> f64 {
    points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64
}
