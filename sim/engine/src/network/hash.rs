//! The hash over a trace: an algorithm of our own, so that no toolchain and no dependency can change what a run hashes to.
//!
//! The input is a sequence of 64-bit words, each taken up by `h = (h ^ word) * ODD; h = h ^ (h >> 32)` from a fixed start, and the
//! result is SplitMix64's output function of `h`. Each step is one to one in `h` and in the word: two traces of which one word
//! differs never hash to the same value. Bytes are read as little-endian words, the last one filled up with zeros; whoever writes them
//! writes their number too. Numbers are words.

/// The offset basis of the 64-bit FNV hash.
const START: u64 = 0xCBF2_9CE4_8422_2325;

/// SplitMix64's increment: odd, and without a pattern.
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A hash in the making.
#[derive(Clone, Copy, Debug)]
pub(super) struct TraceHash(u64);

impl TraceHash {
    pub(super) const fn new() -> Self {
        Self(START)
    }

    pub(super) const fn word(&mut self, word: u64) {
        let product = (self.0 ^ word).wrapping_mul(ODD);
        self.0 = product ^ (product >> 32);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }

    pub(super) const fn finish(self) -> u64 {
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut hash = TraceHash::new();
        hash.word(bytes.len() as u64);
        hash.bytes(bytes);
        hash.finish()
    }

    #[test]
    fn every_bit_and_the_length_count() {
        let text = *b"eleven byte";
        let mut seen = std::collections::BTreeSet::from([of(&text), of(&text[..10]), of(b"eleven byte\0"), of(b"")]);
        for bit in 0..text.len() * 8 {
            let mut changed = text;
            changed[bit / 8] ^= 1 << (bit % 8);
            seen.insert(of(&changed));
        }
        assert_eq!(seen.len(), 4 + 88);
    }

    #[test]
    fn the_algorithm_is_the_described_one_on_every_machine() {
        // Computed from the module's description, with numbers of unlimited size.
        assert_eq!(of(b""), 0xF937_6FE9_0135_A10E);
        assert_eq!(of(b"eleven byte"), 0xC522_605B_682A_CC61);
    }
}
