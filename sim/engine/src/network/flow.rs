//! One direction of one connection.

use std::collections::VecDeque;

use turmoil_net::TcpSegment;

use super::segment::InFlight;
use crate::random::Key;

/// What the engine knows about one direction of a connection from watching its packets.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// What its packets' latencies and losses are drawn by; `None`: nobody has seen it begin.
    pub(super) draws_by: Option<Key>,
    /// Packets sent so far.
    pub(super) sent: u64,
    /// How often what was held was let go.
    pub(super) releases: u64,
    /// No later packet may arrive before this.
    pub(crate) last_arrival_ns: u64,
    /// Packets that a fault keeps from arriving, in order.
    pub(crate) held: VecDeque<InFlight>,
    /// The held packets are on their way again and arrive with this event.
    pub(crate) release: Option<u64>,
    /// One past the last sequence number sent.
    sent_end: u32,
    /// The last acknowledgement number this side has sent.
    pub(crate) last_ack_sent: u32,
    pub(crate) acks_sent: u32,
    acknowledged: u32,
    /// The window that the last segment to arrive has announced.
    pub(crate) window_heard: u16,
    /// Since when something sent here has been waiting for an acknowledgement without progress.
    pub(crate) unacknowledged_since_ns: Option<u64>,
    /// When the peer was last heard of.
    pub(crate) last_heard_ns: u64,
    /// The SYN has arrived and nothing since: the receiving kernel is in SYN_RECV.
    pub(crate) half_open: bool,
    /// A check whether to give up is scheduled.
    pub(crate) give_up_armed: bool,
    /// Keepalive probing is scheduled; so many probes went unanswered.
    pub(crate) unanswered_probes: Option<u32>,
}

impl Flow {
    /// Books an outgoing segment.
    pub(super) fn note_sent(&mut self, now_ns: u64, segment: &TcpSegment) {
        let consumed = segment.payload.len() as u32 + u32::from(segment.flags.syn) + u32::from(segment.flags.fin);
        if segment.flags.syn {
            self.acknowledged = segment.seq;
        }
        if consumed > 0 {
            self.sent_end = segment.seq.wrapping_add(consumed);
            self.unacknowledged_since_ns.get_or_insert(now_ns);
        }
        if segment.flags.ack && !segment.flags.rst {
            self.last_ack_sent = segment.ack;
            self.acks_sent += u32::from(!segment.flags.syn);
        }
    }

    /// Books an acknowledgement that has arrived from the peer.
    pub(crate) fn note_acknowledged(&mut self, now_ns: u64, ack: u32) {
        self.last_heard_ns = now_ns;
        let progress = ack.wrapping_sub(self.acknowledged);
        if progress == 0 || progress > self.in_flight() {
            return;
        }
        self.acknowledged = ack;
        self.unacknowledged_since_ns = (self.in_flight() > 0).then_some(now_ns);
    }

    /// Sequence numbers sent and not acknowledged.
    pub(crate) const fn in_flight(&self) -> u32 {
        self.sent_end.wrapping_sub(self.acknowledged)
    }

    /// The sequence number that this side sends next.
    pub(crate) const fn next_sequence(&self) -> u32 {
        self.sent_end
    }

    pub(super) fn is_quiet_since(&self, now_ns: u64) -> bool {
        self.held.is_empty() && self.last_arrival_ns < now_ns
    }
}
