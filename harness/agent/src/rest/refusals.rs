//! Clients that could not open TLS, told in the log now and then: anybody can be one, as often as he likes.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The same is told again after this long.
const PAUSE: Duration = Duration::from_secs(600);
/// So many lines in [`RATE_TIME`], whatever they say.
const RATE: usize = 10;
/// See [`RATE`].
const RATE_TIME: Duration = Duration::from_secs(60);

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct Refusals(VecDeque<(Instant, String)>);

impl Refusals {
    /// Whether a line is to be told; then it counts as told.
    pub fn is_news(&mut self, text: &str, now: Instant) -> bool {
        while self.0.front().is_some_and(|(told, _)| now.duration_since(*told) >= PAUSE) {
            self.0.pop_front();
        }
        let lately = self.0.iter().rev().take_while(|(told, _)| now.duration_since(*told) < RATE_TIME).count();
        let is_news = lately < RATE && self.0.iter().all(|(_, told)| told != text);
        if is_news {
            self.0.push_back((now, text.to_owned()));
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_after_ten_minutes_and_a_flood_is_not() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        let told: Vec<u64> = (0..1300)
            .filter(|second| refusals.is_news("a: no certificate", began + Duration::from_secs(*second)))
            .collect();
        assert_eq!(told, [0, 600, 1200]);
        let mut refusals = Refusals::default();
        let mut flood = |second| (0..1000).filter(|n| refusals.is_news(&n.to_string(), began + second)).count();
        assert_eq!((flood(Duration::ZERO), flood(RATE_TIME / 2), flood(RATE_TIME)), (RATE, 0, RATE));
    }
}
