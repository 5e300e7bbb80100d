//! When a member that hears from no leader campaigns.
//!
//! raft-rs draws its election time-outs from entropy that a simulation cannot seed (the raw system call), so its own timer is
//! set beyond reach and this one, otherwise the same, takes its place: a new draw from one to two election time-outs with
//! every new role or term.

use raft::{RawNode, StateRole, Storage};

/// An election time-out for raft-rs that never passes, in ticks.
pub(super) const NEVER: usize = 1 << 40;

/// The election timer of one member.
pub(super) struct Elections {
    election_ticks: usize,
    timeout: usize,
    drawn_for: (u64, StateRole),
    random: u64,
}

impl Elections {
    /// Draws from `seed` alone: members of one cluster need different ones.
    pub(super) fn new(election_ticks: usize, seed: u64) -> Self {
        let mut elections = Self { election_ticks, timeout: 0, drawn_for: (0, StateRole::Follower), random: seed };
        elections.draw();
        elections
    }

    /// Draws again if Raft's role or term has changed.
    pub(super) fn observe<S: Storage>(&mut self, node: &RawNode<S>) {
        let now = (node.raft.term, node.raft.state);
        if now != self.drawn_for {
            self.drawn_for = now;
            self.draw();
        }
    }

    /// To be called after each tick: campaigns when no leader was heard of for too long.
    pub(super) fn ticked<S: Storage>(&mut self, node: &mut RawNode<S>) {
        self.observe(node);
        let raft = &mut node.raft;
        if raft.state == StateRole::Leader || !raft.promotable() || raft.election_elapsed < self.timeout {
            return;
        }
        raft.election_elapsed = 0;
        // Refused only while a membership change is pending, which there never is.
        let _ = node.campaign();
        self.observe(node);
    }

    fn draw(&mut self) {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let extra = (x ^ (x >> 31)) % self.election_ticks as u64;
        self.timeout = self.election_ticks + extra as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_lie_between_one_and_two_elections_and_differ() {
        let mut elections = Elections::new(10, 7);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            elections.draw();
            seen.insert(elections.timeout);
        }
        assert_eq!(seen, (10..20).collect());
    }
}
