//! The streaming replication protocol: what travels inside `CopyData`.
//!
//! Messages, headers and commands are PostgreSQL's. One thing is the model's own: the WAL data of a `w` message is a
//! JSON list of records instead of raw WAL pages.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgwire::messages::copy::CopyData;

use crate::{Lsn, disk::record::Record};

/// From the walsender.
#[derive(Debug)]
pub(crate) enum FromSender {
    /// `w`: XLogData.
    Wal { records: Vec<Arc<Record>>, end: Lsn },
    /// `k`: primary keepalive.
    Keepalive { end: Lsn, reply_requested: bool },
}

/// `r`: standby status update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusUpdate {
    pub write: Lsn,
    pub flush: Lsn,
    pub apply: Lsn,
    pub reply_requested: bool,
}

impl FromSender {
    pub fn encode(&self, now_us: i64) -> Result<CopyData, String> {
        let mut buffer = BytesMut::with_capacity(64);
        match self {
            Self::Wal { records, end } => {
                buffer.put_u8(b'w');
                buffer.put_u64(records.first().map_or(end.0, |record| record.start.0));
                buffer.put_u64(end.0);
                buffer.put_i64(now_us);
                serde_json::to_writer((&mut buffer).writer(), records).map_err(|error| error.to_string())?;
            }
            Self::Keepalive { end, reply_requested } => {
                buffer.put_u8(b'k');
                buffer.put_u64(end.0);
                buffer.put_i64(now_us);
                buffer.put_u8(u8::from(*reply_requested));
            }
        }
        Ok(CopyData::new(buffer.freeze()))
    }

    pub fn decode(mut data: Bytes) -> Result<Self, String> {
        let truncated = || "invalid message received from primary".to_owned();
        if data.len() < 18 {
            return Err(truncated());
        }
        match data.get_u8() {
            b'w' if data.len() >= 24 => {
                data.advance(8);
                let end = Lsn(data.get_u64());
                data.advance(8);
                let records = serde_json::from_slice(&data).map_err(|error| error.to_string())?;
                Ok(Self::Wal { records, end })
            }
            b'k' => {
                let end = Lsn(data.get_u64());
                data.advance(8);
                Ok(Self::Keepalive { end, reply_requested: data.get_u8() != 0 })
            }
            _ => Err(truncated()),
        }
    }
}

impl StatusUpdate {
    pub fn encode(self, now_us: i64) -> CopyData {
        let mut buffer = BytesMut::with_capacity(34);
        buffer.put_u8(b'r');
        for lsn in [self.write, self.flush, self.apply] {
            buffer.put_u64(lsn.0);
        }
        buffer.put_i64(now_us);
        buffer.put_u8(u8::from(self.reply_requested));
        CopyData::new(buffer.freeze())
    }

    /// `None` when it is not a status update.
    pub fn decode(mut data: Bytes) -> Option<Self> {
        if data.len() != 34 || data.get_u8() != b'r' {
            return None;
        }
        let (write, flush, apply) = (Lsn(data.get_u64()), Lsn(data.get_u64()), Lsn(data.get_u64()));
        data.advance(8);
        Some(Self { write, flush, apply, reply_requested: data.get_u8() != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_update_survives_the_wire() {
        let update = StatusUpdate { write: Lsn(3), flush: Lsn(2), apply: Lsn(1), reply_requested: true };
        assert_eq!(StatusUpdate::decode(update.encode(7).data), Some(update));
        assert_eq!(StatusUpdate::decode(Bytes::from_static(b"r")), None);
    }
}
