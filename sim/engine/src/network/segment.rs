//! Packets on their way: looking into them, and making some up.

use std::net::SocketAddr;

use bytes::Bytes;
use turmoil_net::{Packet, TcpFlags, TcpSegment, Transport};

use super::key::FlowKey;

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) key: FlowKey,
    /// When its sender emitted it first: retransmissions are counted from here.
    pub(crate) sent_ns: u64,
    pub(crate) packet: Packet,
}

/// The TCP segment in `packet`. UDP exists in the socket stack and is not offered by this crate.
pub(crate) fn segment(packet: &Packet) -> Option<&TcpSegment> {
    match &packet.payload {
        Transport::Tcp(segment) => Some(segment),
        Transport::Udp(_) => None,
    }
}

/// Says nothing but "received".
pub(crate) fn is_pure_ack(segment: &TcpSegment) -> bool {
    let flags = segment.flags;
    flags.ack && !flags.syn && !flags.fin && !flags.rst && segment.payload.is_empty()
}

/// A segment without data from `from` to `to`.
pub(crate) fn forged(from: SocketAddr, to: SocketAddr, flags: TcpFlags, seq: u32, ack: u32) -> Packet {
    Packet {
        src: from.ip(),
        dst: to.ip(),
        ttl: 64,
        payload: Transport::Tcp(TcpSegment {
            src_port: from.port(),
            dst_port: to.port(),
            seq,
            ack,
            flags,
            window: u16::MAX,
            payload: Bytes::new(),
        }),
    }
}
