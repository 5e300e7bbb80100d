//! Quantiles of few runs and how well they are known: order statistics, without any assumption about how outages are distributed.

use serde::Serialize;

/// How sure an interval is.
const CONFIDENCE: f64 = 0.95;

/// A quantile of measured times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantile {
    /// The smallest measured time that this share of the runs did not exceed, in milliseconds.
    pub ms: u64,
    /// The ends of an interval that holds the true quantile with 95 % confidence, in milliseconds; `None` where there are too few
    /// runs for one.
    pub interval_ms: Option<(u64, u64)>,
}

impl Quantile {
    /// Of sorted values; `None` of none.
    #[must_use]
    pub fn of(sorted: &[u64], share: f64) -> Option<Self> {
        let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize;
        let ms = *sorted.get(rank - 1)?;
        let interval_ms = ranks(sorted.len(), share).map(|(low, high)| (sorted[low], sorted[high]));
        Some(Self { ms, interval_ms })
    }
}

/// The positions of the two values between which the true quantile lies with the confidence: as few apart as can be, and as near to
/// the quantile. How many of `n` values lie below the true quantile is binomial.
fn ranks(n: usize, share: f64) -> Option<(usize, usize)> {
    let mass = binomial(n, share);
    // Below the quantile lie exactly `low + 1` to `high` values, where value `low` is below and value `high` is not.
    let (mut low, mut high) = (0, n.checked_sub(1)?);
    let covered = |low: usize, high: usize| mass[low + 1..=high].iter().sum::<f64>();
    if covered(low, high) < CONFIDENCE {
        return None;
    }
    // Between neighbours nothing lies.
    while low + 1 < high {
        let (without_low, without_high) = (covered(low + 1, high), covered(low, high - 1));
        if without_low.max(without_high) < CONFIDENCE {
            break;
        }
        if without_low >= without_high { low += 1 } else { high -= 1 }
    }
    Some((low, high))
}

/// The chances of 0 to `n` successes, in logarithms until the end: of thousands of runs the factors leave the range of numbers.
fn binomial(n: usize, share: f64) -> Vec<f64> {
    let (yes, no) = (share.ln(), (1.0 - share).ln());
    let mut choose = 0.0;
    let mut chances = Vec::with_capacity(n + 1);
    for successes in 0..=n {
        if successes > 0 {
            choose += ((n - successes + 1) as f64).ln() - (successes as f64).ln();
        }
        chances.push((choose + successes as f64 * yes + (n - successes) as f64 * no).exp());
    }
    chances
}

/// How much longer outages are than with other settings and the same seeds, in milliseconds: negative where they are shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PairedDifference {
    /// The median of the differences, seed by seed.
    pub ms: i64,
    /// The ends of its interval with 95 % confidence; `None` where there are too few pairs for one.
    pub interval_ms: Option<(i64, i64)>,
}

impl PairedDifference {
    /// Of the differences in any order; `None` of none.
    #[must_use]
    pub fn of(mut differences: Vec<i64>) -> Option<Self> {
        differences.sort_unstable();
        let ms = *differences.get(differences.len().saturating_sub(1) / 2)?;
        let interval_ms = ranks(differences.len(), 0.5).map(|(low, high)| (differences[low], differences[high]));
        Some(Self { ms, interval_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_time_that_was_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        let at = |sorted: &[u64], share| Quantile::of(sorted, share).map(|quantile| quantile.ms);
        assert_eq!([0.5, 0.95, 0.99].map(|share| at(&hundred, share)), [Some(50), Some(95), Some(99)]);
        assert_eq!([0.5, 0.95, 0.99].map(|share| at(&hundred[..10], share)), [Some(5), Some(10), Some(10)]);
        assert_eq!((at(&[7], 0.5), at(&[], 0.5)), (Some(7), None));
    }

    /// As tables of the sign test have them: of 20 values the 6th and the 15th; of 50 the 19th and the 33rd (95.1 %).
    #[test]
    fn the_medians_interval_is_that_of_the_sign_test() {
        assert_eq!(ranks(20, 0.5), Some((5, 14)));
        assert_eq!(ranks(5, 0.5), None, "even the whole range has only 93.75 %");
        assert_eq!(ranks(6, 0.5), Some((0, 5)));
        assert_eq!(ranks(50, 0.5), Some((18, 32)));
    }

    #[test]
    fn a_rare_quantile_has_an_interval_only_of_many_runs() {
        assert_eq!(ranks(50, 0.95), None, "in 7.7 % of all sweeps no run of 50 is beyond it");
        assert!(ranks(100, 0.95).is_some() && ranks(100, 0.99).is_none() && ranks(500, 0.99).is_some());
        assert_eq!(ranks(0, 0.5), None);
        let (low, high) = ranks(10_000, 0.5).expect("no number is too large or too small");
        assert!((4_890..4_910).contains(&low) && (5_090..5_110).contains(&high), "{low} {high}");
    }

    #[test]
    fn differences_are_those_of_pairs() {
        let difference = PairedDifference::of(vec![-3, -1, -2, -4, -5, -6, 9]).expect("there are some");
        assert_eq!((difference.ms, difference.interval_ms), (-3, Some((-6, 9))));
        assert_eq!(PairedDifference::of(vec![4]), Some(PairedDifference { ms: 4, interval_ms: None }));
        assert_eq!(PairedDifference::of(vec![]), None);
    }
}
