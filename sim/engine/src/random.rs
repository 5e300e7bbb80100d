//! Every draw the engine makes, each decided by what it is for and by nothing that was drawn before.
//!
//! A draw is `mix(seed, purpose, key, count)`. There is no stream of numbers from which one packet more would take a number away
//! from all that follow: whoever has a [`Key`] counts its own draws, and leaving out one fault of a scenario draws nothing else anew.
//!
//! | what is drawn | key | count |
//! |---|---|---|
//! | latency, jitter and losses of a packet | the connection and its direction | segments sent in that direction |
//! | delay of what was held | the connection and its direction | times it was let go |
//! | entropy that a process asks for | host, process, start | calls |
//! | order of a process's `select!` branches | host, process, start | its steps, counted by tokio |
//!
//! A connection is named by the process that dialled it (host, process, start), by the host and port that were dialled, and by
//! how many times that process had dialled them since it started. Hosts and processes go by their names: adding one leaves the others'
//! draws alone. Several processes of one name on one host are told apart by the order in which they were spawned.
//!
//! The mixing function is SplitMix64's (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Its few lines
//! and the purposes' numbers cannot change under us in a dependency's or a toolchain's release, which would change every recorded run.

/// SplitMix64's increment: the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a number is drawn for. The numbers are part of every recorded run: a new purpose gets a new one, none is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// How long a packet takes on a link as it is.
    Latency = 1,
    /// What a set jitter adds.
    Jitter = 2,
    /// Whether a transmission of a packet is lost.
    Loss = 3,
    /// How long what was held takes when it is let go.
    Release = 4,
    /// Bytes for a process, or for the engine's own thread, that asks for entropy.
    Entropy = 5,
    /// The seed of a process's tokio runtime.
    Scheduler = 6,
}

/// What draws are decided by, up to their purpose and count: the seed, with names and numbers mixed in one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) const fn of_seed(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    /// The key of a part of this: one more number tells it from its siblings.
    pub(crate) const fn with(self, number: u64) -> Self {
        Self(mix(self.0.wrapping_add(GOLDEN) ^ number))
    }

    /// As [`Self::with`], for something that has a name.
    pub(crate) fn with_name(self, name: &str) -> Self {
        let word = |piece: &[u8]| {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            u64::from_le_bytes(word)
        };
        // With the length, because the last word is filled up with zeros.
        name.as_bytes().chunks(8).map(word).fold(self.with(name.len() as u64), Self::with)
    }

    /// The key of something that lies between two: this one's part that the other names.
    pub(crate) const fn with_key(self, other: Self) -> Self {
        self.with(other.0)
    }

    /// The draw number `count` for `purpose`. Two multiplications: several are made for each packet.
    pub(crate) const fn draw(self, purpose: Purpose, count: u64) -> Draw {
        Draw(mix(self.0 ^ (purpose as u64) << 56 ^ count))
    }
}

/// One drawn number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw(u64);

impl Draw {
    /// All 64 bits of it.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Uniform in `low..=high`.
    pub(crate) const fn between(self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        // The upper half of the product: as good as a remainder, and without a division.
        low + ((self.0 as u128 * span as u128) >> 64) as u64
    }

    /// True with `probability` (0 to 1).
    pub(crate) fn chance(self, probability: f64) -> bool {
        ((self.0 >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

/// SplitMix64's output function: one to one, and every bit of the result depends on every bit of `z`.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const KEY: Key = Key::of_seed(1);

    #[test]
    fn the_mixing_function_is_the_published_one() {
        let drawn: Vec<u64> = (1..=3_u64).map(|n| mix(1_234_567_u64.wrapping_add(n.wrapping_mul(GOLDEN)))).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn seed_purpose_key_and_count_each_make_another_draw() {
        let keys = [KEY, Key::of_seed(2), KEY.with(0), KEY.with(1), KEY.with(0).with(1), KEY.with(1).with(0)];
        let names = ["pg1", "pg2", "pg1\0", "a name of more than one word", "a name of more than one wor"];
        let named = names.map(|name| KEY.with_name(name));
        let purposes = [Purpose::Latency, Purpose::Jitter, Purpose::Loss, Purpose::Entropy];
        let mut seen = BTreeSet::new();
        for key in keys.into_iter().chain(named) {
            for purpose in purposes {
                seen.extend((0..1_000).map(|count| key.draw(purpose, count).bits()));
            }
        }
        assert_eq!(seen.len(), 11 * 4 * 1_000);
    }

    #[test]
    fn between_reaches_both_ends_and_nothing_else_and_each_as_often() {
        let mut drawn = [0; 4];
        for count in 0..40_000 {
            let value = KEY.draw(Purpose::Latency, count).between(5, 8);
            drawn[usize::try_from(value - 5).expect("small")] += 1;
        }
        assert!(drawn.iter().all(|n| (9_700..10_300).contains(n)), "{drawn:?}");
        assert_eq!(KEY.draw(Purpose::Latency, 0).between(7, 7), 7);
        assert!(KEY.draw(Purpose::Latency, 0).between(0, u64::MAX) > 0);
    }

    #[test]
    fn chance_follows_its_probability_and_neighbours_do_not_follow_each_other() {
        let chance = |count: u64, p: f64| KEY.draw(Purpose::Loss, count).chance(p);
        let hits = (0..10_000).filter(|n| chance(*n, 0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits} of 10,000");
        let pairs = (0..20_000).filter(|n| chance(*n, 0.5) && chance(*n + 1, 0.5)).count();
        assert!((4_700..5_300).contains(&pairs), "{pairs} of 20,000");
        assert!(!(0..1_000).any(|n| chance(n, 0.0)));
        assert!((0..1_000).all(|n| chance(n, 1.0)));
    }
}
