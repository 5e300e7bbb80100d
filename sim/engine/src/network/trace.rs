//! What happened, packet by packet and step by step: the measure of determinism.

use std::{
    fmt::Write as _,
    hash::{DefaultHasher, Hasher},
};

use turmoil_net::Packet;

use super::{FlowKey, segment};
use crate::ProcessId;

/// A hash over every packet and every step so far, and on request the lines it was made from.
///
/// Two runs of one seed must agree in every byte; where the hashes differ, the first differing line shows where.
#[derive(Debug)]
pub struct Trace {
    // SipHash with std's fixed keys: the same in every process, build and thread.
    hash: DefaultHasher,
    entries: u64,
    packets: u64,
    bytes: u64,
    lines: Option<Vec<String>>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: DefaultHasher::new(), entries: 0, packets: 0, bytes: 0, lines: None }
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
        // One write each instead of one for each number: the hash is the same, and this is done for every packet.
        let mut head = [0; 28];
        head[..8].copy_from_slice(&now_ns.to_ne_bytes());
        head[8..16].copy_from_slice(&key.bits().to_ne_bytes());
        head[16..24].copy_from_slice(&(u64::from(s.seq) << 32 | u64::from(s.ack)).to_ne_bytes());
        head[24..].copy_from_slice(&(u32::from(s.window) << 8 | u32::from(bits)).to_ne_bytes());
        self.hash.write(&head);
        self.hash.write(&s.payload);
        self.packets += 1;
        self.bytes += s.payload.len() as u64;
        self.entries += 1;
        let (ordinal, hash) = (self.entries, self.hash.finish());
        let Some(lines) = &mut self.lines else { return };
        let mut line = format!("{ordinal:>8} {now_ns:>15} packet {key:?} ");
        for (set, letter) in flags.into_iter().zip(['S', 'A', 'F', 'R']) {
            line.push(if set { letter } else { '.' });
        }
        // Writing to a String cannot fail.
        let _ = write!(line, " seq={} ack={} len={} {hash:016x}", s.seq, s.ack, s.payload.len());
        lines.push(line);
    }

    pub(crate) fn step(&mut self, now_ns: u64, process: ProcessId, due_ns: Option<u64>) {
        let mut line = [0; 24];
        for (place, number) in line.chunks_exact_mut(8).zip([now_ns, process.0 as u64, due_ns.unwrap_or(u64::MAX)]) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        self.hash.write(&line);
        self.entries += 1;
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>8} {now_ns:>15} step {} until {due_ns:?}", self.entries, process.0));
        }
    }
}
