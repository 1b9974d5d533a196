//! Times of requests, and what they amount to.

use serde::Serialize;
use std::time::Duration;

/// Times of requests, in microseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<u32>);

impl Times {
    pub(super) fn push(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time within which so many of the requests were answered, from 0 to 1, in milliseconds.
    pub(super) fn within(&mut self, share: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return 0.0 };
        let at = ((last as f64) * share).round() as usize;
        let (_, time, _) = self.0.select_nth_unstable(at.min(last));
        f64::from(*time) / 1000.0
    }
}

/// What a node has done in one measurement.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rate {
    /// Answers per second.
    pub(super) per_second: f64,
    /// Half of them came within this, in milliseconds.
    pub(super) p50_ms: f64,
    /// 99 of 100 came within this, in milliseconds.
    pub(super) p99_ms: f64,
}

impl Rate {
    pub(super) fn new(mut times: Times, elapsed: Duration) -> Self {
        Self {
            per_second: times.len() as f64 / elapsed.as_secs_f64(),
            p50_ms: times.within(0.5),
            p99_ms: times.within(0.99),
        }
    }

    /// The median of each figure.
    pub(super) fn median(of: &[Self]) -> Self {
        let figure = |figure: fn(&Self) -> f64| median(of.iter().map(figure).collect());
        Self {
            per_second: figure(|rate| rate.per_second),
            p50_ms: figure(|rate| rate.p50_ms),
            p99_ms: figure(|rate| rate.p99_ms),
        }
    }
}

/// The one in the middle, or the mean of the two there; 0 of none.
pub(super) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    let middle = of.len() / 2;
    match of.get(middle) {
        None => 0.0,
        Some(upper) if of.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(of[middle - 1], *upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_medians_are_what_they_say() {
        let mut times = Times::default();
        assert_eq!(times.within(0.5), 0.0);
        for millis in (1..=101).rev() {
            times.push(Duration::from_millis(millis));
        }
        assert_eq!(
            (times.within(0.5), times.within(0.99), times.within(1.0)),
            (51.0, 100.0, 101.0)
        );
        let rate = Rate::new(times, Duration::from_secs(2));
        assert_eq!((rate.per_second, rate.p99_ms), (50.5, 100.0));
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
