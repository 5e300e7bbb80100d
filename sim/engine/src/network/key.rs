//! The name of one direction of a connection.

use std::fmt;

use crate::id::HostId;

/// Sender's host and port, receiver's host and port, packed: it is looked up for every packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FlowKey(u64);

impl FlowKey {
    pub(crate) const fn new(from: HostId, source_port: u16, to: HostId, target_port: u16) -> Self {
        Self((from.0 as u64) << 48 | (source_port as u64) << 32 | (to.0 as u64) << 16 | target_port as u64)
    }

    pub(crate) const fn from(self) -> HostId {
        HostId((self.0 >> 48) as usize)
    }

    pub(crate) const fn source_port(self) -> u16 {
        (self.0 >> 32) as u16
    }

    pub(crate) const fn to(self) -> HostId {
        HostId((self.0 >> 16) as u16 as usize)
    }

    pub(crate) const fn target_port(self) -> u16 {
        self.0 as u16
    }

    /// The other direction.
    pub(crate) const fn reversed(self) -> Self {
        Self(self.0.rotate_left(32))
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn touches(self, host: HostId) -> bool {
        self.from() == host || self.to() == host
    }
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}>{}:{}", self.from().0, self.source_port(), self.to().0, self.target_port())
    }
}
