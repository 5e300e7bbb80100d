//! Physical replication slots as they are kept in `pg_replslot`.

use serde::{Deserialize, Serialize};

use crate::Lsn;

/// A physical replication slot on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Oldest WAL it retains; `None` until it was reserved or used.
    pub restart_lsn: Option<Lsn>,
    /// Set when its WAL was removed because of `max_slot_wal_keep_size`: the slot is useless from then on.
    pub invalidated: bool,
}

impl Slot {
    /// `wal_status` of `pg_replication_slots`, for a physical slot; `None` (null) while nothing is reserved.
    ///
    /// `wanted` is the beginning of the WAL that `max_wal_size` keeps anyway, `oldest` of what is really there.
    #[must_use]
    pub fn wal_status(&self, oldest: Lsn, wanted: Lsn) -> Option<&'static str> {
        let restart = self.restart_lsn?;
        Some(match restart {
            _ if self.invalidated => "lost",
            lsn if lsn < oldest => "lost",
            lsn if lsn < wanted => "extended",
            _ => "reserved",
        })
    }
}

/// Whether PostgreSQL accepts `name` for a slot: lower case letters, digits and underscores, at most 63 bytes.
#[must_use]
pub fn is_valid_slot_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..64).contains(&name.len()) && name.bytes().all(allowed)
}
