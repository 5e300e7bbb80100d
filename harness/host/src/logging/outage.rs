//! An etcd that is away for hours, told now and then and not with every loop.

use std::time::{Duration, Instant};

/// When the same is told again: the second time after this long, then after twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest silence about it.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);
/// So many different troubles are remembered; members of etcd fail in different ways, by turns.
const REMEMBERED: usize = 16;

/// What has been told of an outage.
#[derive(Debug, Default)]
pub(super) struct Outage(Vec<Told>);

#[derive(Debug)]
struct Told {
    text: String,
    at: Instant,
    pause: Duration,
    /// How often it has happened since it was told.
    since: u32,
}

impl Outage {
    /// What the log is to say of this trouble; `None`: it knows.
    pub fn tell(&mut self, text: &str, now: Instant) -> Option<String> {
        let Some(told) = self.0.iter_mut().find(|told| told.text == text) else {
            if self.0.len() == REMEMBERED {
                self.0.remove(0);
            }
            self.0.push(Told { text: text.to_owned(), at: now, pause: FIRST_PAUSE, since: 0 });
            return Some(format!("{text}; the agent goes on trying, and says so again in {}", shown(FIRST_PAUSE)));
        };
        told.since += 1;
        if now.saturating_duration_since(told.at) < told.pause {
            return None;
        }
        let times = std::mem::take(&mut told.since);
        (told.at, told.pause) = (now, (told.pause * 2).min(LONGEST_PAUSE));
        Some(format!("{text}; {times} times since it was told last, and told again in {}", shown(told.pause)))
    }

    /// Whether a sentence only repeats a trouble that has been told.
    pub fn is_repeated_by(&self, sentence: &str) -> bool {
        self.0.iter().any(|told| sentence.contains(told.text.trim_start_matches("dcs: ")))
    }

    /// It is over: the next one is told from its beginning.
    pub fn ends(&mut self) {
        self.0.clear();
    }
}

fn shown(pause: Duration) -> String {
    format!("{} min", pause.as_secs() / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_a_day_is_told_about_a_hundred_times_and_its_end_makes_the_next_one_new() {
        let (mut outage, began) = (Outage::default(), Instant::now());
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let told: Vec<u64> =
            (0..86_400).step_by(10).filter(|s| outage.tell("dcs: no etcd", at(*s)).is_some()).collect();
        assert_eq!(told[..6], [0, 60, 180, 420, 900, 1800], "with longer and longer silences");
        assert_eq!(told.len(), 99);
        let again = outage.tell("dcs: no etcd", at(87_300)).expect("it is time");
        assert!(again.starts_with("dcs: no etcd; ") && again.ends_with("told again in 15 min"), "{again}");
        outage.ends();
        assert!(outage.tell("dcs: no etcd", at(87_301)).is_some());
    }

    #[test]
    fn what_is_new_is_told_at_once_and_what_repeats_it_is_recognised() {
        let (mut outage, now) = (Outage::default(), Instant::now());
        assert!(outage.tell("dcs: a: refused", now).is_some() && outage.tell("dcs: b: timed out", now).is_some());
        assert!(outage.tell("dcs: a: refused", now).is_none() && outage.tell("dcs: b: timed out", now).is_none());
        assert!(outage.is_repeated_by("no action: the DCS is not accessible (a: refused)"));
        assert!(!outage.is_repeated_by("no action: I am a secondary"));
        for other in 0..100 {
            outage.tell(&other.to_string(), now);
        }
        assert_eq!(outage.0.len(), REMEMBERED);
    }
}
