//! What `any replica` is: drawn from the seed and from what its line says, so that a line that is left out or added decides
//! nothing about the others.

use crate::{scenario::Step, world::draw};

/// The draws of a run's selectors.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Picks {
    seed: u64,
}

impl Picks {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Draws for one repetition of a line. Each call gives the same draws in the same order: what a label names is what was done to.
    pub(super) fn of(self, step: &Step, repetition: u32) -> impl FnMut(usize) -> usize + use<> {
        let line = draw(self.seed, hash(&format!("{} {}", step.at, step.action)));
        let mut count = u64::from(repetition) << 32;
        move |below| {
            count += 1;
            // Below a number of hosts.
            (draw(line, count) % below.max(1) as u64) as usize
        }
    }
}

/// FNV-1a, which is the same wherever pgdrill is built.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Action, Selector, Span};

    fn step(at: u64, on: Selector) -> Step {
        Step::new(Span::from_secs(at), Action::PowerOff(on))
    }

    fn first(step: &Step, repetition: u32, seed: u64) -> usize {
        Picks::new(seed).of(step, repetition)(1_000_000)
    }

    #[test]
    fn a_line_draws_by_what_it_says_its_repetition_and_the_seed() {
        let line = step(10, Selector::AnyReplica);
        assert_eq!(first(&line, 0, 1), first(&step(10, Selector::AnyReplica), 0, 1));
        let others = [(line.clone(), 0, 2), (line.clone(), 1, 1), (step(11, Selector::AnyReplica), 0, 1)];
        for (other, repetition, seed) in others {
            assert_ne!(first(&line, 0, 1), first(&other, repetition, seed));
        }
        let mut picks = Picks::new(1).of(&line, 0);
        assert_ne!(picks(1_000_000), picks(1_000_000), "two draws of one line");
    }

    #[test]
    fn every_host_is_drawn_about_as_often() {
        let line = step(10, Selector::AnyReplica);
        let mut drawn = [0; 3];
        for seed in 0..3_000 {
            drawn[Picks::new(seed).of(&line, 0)(3)] += 1;
        }
        assert!(drawn.iter().all(|count| (900..1_100).contains(count)), "{drawn:?}");
    }
}
