//! The two messages between an agent and its dead-man process, of fixed size, so that neither needs memory to read them.

use std::time::Duration;

/// Bytes of an [`Order`].
pub(super) const ORDER_BYTES: usize = 24;
/// Bytes of an [`Answer`].
pub(super) const ANSWER_BYTES: usize = 16;

/// From the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// Which; answered with the same number. Never 0.
    pub number: u64,
    /// The moment to hold from now on, on `CLOCK_BOOTTIME`; `None`: nothing.
    pub hold: Option<Duration>,
}

/// From the dead-man process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The order with this number is obeyed from now on.
    Obeyed(u64),
    /// The order with this number cannot be obeyed: the data directory cannot be found.
    Refused(u64),
    /// The moment has passed, and PostgreSQL was stopped, or tried to.
    Fired,
}

impl Order {
    pub fn encode(self) -> [u8; ORDER_BYTES] {
        let mut bytes = [0; ORDER_BYTES];
        // 584 years since boot.
        let nanos = self.hold.map_or(0, |hold| u64::try_from(hold.as_nanos()).unwrap_or(u64::MAX));
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..16].copy_from_slice(&u64::from(self.hold.is_some()).to_le_bytes());
        bytes[16..].copy_from_slice(&nanos.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; ORDER_BYTES]) -> Self {
        let hold = (word(bytes, 1) == 1).then(|| Duration::from_nanos(word(bytes, 2)));
        Self { number: word(bytes, 0), hold }
    }
}

impl Answer {
    pub fn encode(self) -> [u8; ANSWER_BYTES] {
        let (kind, number) = match self {
            Self::Obeyed(number) => (0u64, number),
            Self::Refused(number) => (1, number),
            Self::Fired => (2, 0),
        };
        let mut bytes = [0; ANSWER_BYTES];
        bytes[..8].copy_from_slice(&kind.to_le_bytes());
        bytes[8..].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; ANSWER_BYTES]) -> Self {
        match word(bytes, 0) {
            0 => Self::Obeyed(word(bytes, 1)),
            1 => Self::Refused(word(bytes, 1)),
            _ => Self::Fired,
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent() {
        for hold in [None, Some(Duration::ZERO), Some(Duration::new(86_400, 7))] {
            let order = Order { number: 3, hold };
            assert_eq!(Order::decode(&order.encode()), order);
        }
        for answer in [Answer::Obeyed(9), Answer::Refused(1), Answer::Fired] {
            assert_eq!(Answer::decode(&answer.encode()), answer);
        }
    }
}
