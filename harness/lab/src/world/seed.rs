//! What is left to chance, drawn from the seed.

use std::time::Duration;

use crate::scenario::Scenario;

/// A number that depends on the seed and a purpose, and on nothing else.
#[must_use]
pub fn draw(seed: u64, purpose: u64) -> u64 {
    let mut z = seed ^ purpose.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A part of a loop that depends on the seed, for faults to meet every phase of it: the cluster is left alone for so long before
/// the scenario begins.
#[must_use]
pub fn phase_of_loop(scenario: &Scenario, seed: u64) -> Duration {
    let most_ms = u64::try_from(phase_at_most(scenario).as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(draw(seed, 1 << 40) % most_ms.max(1))
}

/// No phase is longer: a loop, but no longer than the scenario itself.
#[must_use]
pub fn phase_at_most(scenario: &Scenario) -> Duration {
    Duration::from_secs(scenario.cluster.patroni.loop_wait.into()).min(scenario.duration.0)
}
