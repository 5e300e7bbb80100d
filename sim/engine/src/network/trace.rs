//! What happened, packet by packet and step by step: the measure of determinism.

use std::fmt::Write as _;

use turmoil_net::Packet;

use super::{hash::TraceHash, key::FlowKey, segment::segment};
use crate::id::ProcessId;

/// The first word of an entry says in its highest byte what it is.
const PACKET: u64 = 1;
const STEP: u64 = 2;

/// A hash over every packet and every step so far, and on request the lines it was made from.
///
/// Two runs of one seed must agree in every byte; where the hashes differ, the first differing line shows where.
#[derive(Debug)]
pub struct Trace {
    hash: TraceHash,
    entries: u64,
    packets: u64,
    bytes: u64,
    lines: Option<Vec<String>>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: TraceHash::new(), entries: 0, packets: 0, bytes: 0, lines: None }
    }
}

impl Trace {
    /// The hash of everything up to now.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Packets sent between hosts, resets and acknowledgements included.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes of payload in them.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.bytes
    }

    /// The log, one line per packet and step, if it was switched on: ordinal, time in nanoseconds, what happened.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    pub(crate) fn record_lines(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(crate) fn packet(&mut self, now_ns: u64, key: FlowKey, packet: &Packet) {
        let Some(s) = segment(packet) else { return };
        let flags = [s.flags.syn, s.flags.ack, s.flags.fin, s.flags.rst];
        let bits = flags.iter().fold(0u8, |bits, &set| bits << 1 | u8::from(set));
        let length = s.payload.len() as u64;
        self.hash.word(PACKET << 56 | length << 24 | u64::from(s.window) << 8 | u64::from(bits));
        self.hash.word(now_ns);
        self.hash.word(key.bits());
        self.hash.word(u64::from(s.seq) << 32 | u64::from(s.ack));
        self.hash.bytes(&s.payload);
        self.packets += 1;
        self.bytes += length;
        self.entries += 1;
        let Some(lines) = &mut self.lines else { return };
        let (ordinal, hash) = (self.entries, self.hash.finish());
        let mut line = format!("{ordinal:>8} {now_ns:>15} packet {key:?} ");
        for (set, letter) in flags.into_iter().zip(['S', 'A', 'F', 'R']) {
            line.push(if set { letter } else { '.' });
        }
        // Writing to a String cannot fail.
        let _ = write!(line, " seq={} ack={} len={} {hash:016x}", s.seq, s.ack, s.payload.len());
        lines.push(line);
    }

    pub(crate) fn step(&mut self, now_ns: u64, process: ProcessId, due_ns: Option<u64>) {
        self.hash.word(STEP << 56 | process.0 as u64);
        self.hash.word(now_ns);
        self.hash.word(due_ns.unwrap_or(u64::MAX));
        self.entries += 1;
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>8} {now_ns:>15} step {} until {due_ns:?}", self.entries, process.0));
        }
    }
}
