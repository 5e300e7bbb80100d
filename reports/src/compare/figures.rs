//! Distributions of simulated times, and how far real ones are from them.

use serde::Serialize;

/// Simulated times of one phase, in milliseconds. Every figure but the median of an even number is one that a run really had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// How many runs reached it.
    pub runs: usize,
    /// The shortest.
    pub min_ms: u64,
    /// A tenth of the runs was not slower.
    pub p10_ms: u64,
    /// Half of the runs were not slower: the middle one, of an even number the mean of the two in the middle.
    pub median_ms: u64,
    /// Nine tenths of the runs were not slower.
    pub p90_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

impl Distribution {
    /// Of times in any order; `None` of none.
    #[must_use]
    pub fn of(times_ms: &[u64]) -> Option<Self> {
        let mut sorted = times_ms.to_vec();
        sorted.sort_unstable();
        let (min_ms, max_ms) = (*sorted.first()?, *sorted.last()?);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
        let median_ms = sorted[(sorted.len() - 1) / 2].midpoint(sorted[sorted.len() / 2]);
        Some(Self { runs: sorted.len(), min_ms, p10_ms: at(0.1), median_ms, p90_ms: at(0.9), max_ms })
    }
}

/// What one real world measured of one phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurements {
    /// The world.
    pub world: String,
    /// The time of each run that reached the phase, in milliseconds, in the order of the runs.
    pub times_ms: Vec<u64>,
    /// Of each of them: (simulated median - measured) / measured. Positive: the simulator is slower than reality. `None`
    /// where the simulator never reached the phase, or the measured time is 0.
    pub relative_errors: Vec<Option<f64>>,
    /// The same of the median measurement.
    pub relative_error: Option<f64>,
    /// How many measurements lie outside of all that the simulator had.
    pub outside: usize,
}

impl Measurements {
    /// Compares a world's times with the simulator's.
    #[must_use]
    pub fn of(world: &str, times_ms: Vec<u64>, simulated: Option<&Distribution>) -> Self {
        let error = |measured: u64| relative_error(simulated?.median_ms, measured);
        let outside = simulated.map_or(0, |simulated| {
            times_ms.iter().filter(|ms| **ms < simulated.min_ms || **ms > simulated.max_ms).count()
        });
        Self {
            world: world.to_owned(),
            relative_errors: times_ms.iter().map(|ms| error(*ms)).collect(),
            relative_error: Distribution::of(&times_ms).and_then(|real| error(real.median_ms)),
            outside,
            times_ms,
        }
    }
}

fn relative_error(simulated_ms: u64, measured_ms: u64) -> Option<f64> {
    (measured_ms > 0).then(|| (simulated_ms as f64 - measured_ms as f64) / measured_ms as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_two_in_the_middle() {
        let median = |times: &[u64]| Distribution::of(times).expect("there are times").median_ms;
        assert_eq!(median(&[40, 10, 20, 30]), 25);
        assert_eq!(median(&[7, 9]), 8);
        assert_eq!(median(&[10, 20, 90]), 20);
    }

    #[test]
    fn every_figure_of_an_odd_number_was_really_measured() {
        let times: Vec<u64> = (1..=11).rev().map(|n| n * 10).collect();
        let all = Distribution::of(&times).expect("there are times");
        assert_eq!((all.min_ms, all.p10_ms, all.median_ms, all.p90_ms, all.max_ms), (10, 20, 60, 100, 110));
        assert_eq!(Distribution::of(&[]), None);
        let one = Distribution::of(&[7]).expect("one time");
        assert_eq!((one.runs, one.min_ms, one.p90_ms), (1, 7, 7));
    }

    #[test]
    fn an_error_is_relative_to_what_was_measured_and_positive_where_the_simulator_is_slower() {
        let simulated = Distribution::of(&[100, 150, 200]);
        let real = Measurements::of("containers", vec![100, 300, 0], simulated.as_ref());
        assert_eq!(real.relative_errors, [Some(0.5), Some(-0.5), None]);
        assert_eq!(real.relative_error, Some(0.5));
        assert_eq!(real.outside, 2);
    }

    #[test]
    fn what_the_simulator_never_reached_has_no_error() {
        let real = Measurements::of("patroni", vec![100], None);
        assert_eq!((real.relative_errors, real.relative_error, real.outside), (vec![None], None, 0));
    }
}
