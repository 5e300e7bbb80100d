//! WAL on its way: what clients write, what standbys receive, and what clients are told of it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use pgdrill_ha::Lsn;
use pgdrill_ha::config::SynchronousMode;
use pgdrill_ha::view::{StandbyView, SyncState, SynchronousStandbyNames};

use super::NAMES;
use super::postgres::Server;
use super::world::World;

impl World {
    /// Clients write once a second, standbys receive, and commits are acknowledged as the setting allows.
    pub fn write_and_stream(&mut self) {
        for n in 0..self.nodes.len() {
            if self.nodes[n].postgres.may_write() && self.now.is_multiple_of(1000) {
                let segment = self.nodes[n].postgres.wal.last_mut().expect("a server has WAL");
                segment.end += 8;
            }
        }
        for n in 0..self.nodes.len() {
            self.stream(n);
        }
        for n in 0..self.nodes.len() {
            // Votes were counted before: see `judge`.
            let too_late = self.is_excused(n) && self.settings.mode == SynchronousMode::Quorum;
            if let Some(end) = self.acknowledged_by(n).filter(|_| !too_late) {
                let author = self.nodes[n].postgres.wal.last().expect("a server has WAL").author;
                let known = self.judge.acknowledged.entry(author).or_default();
                *known = (*known).max(end);
            }
        }
    }

    fn stream(&mut self, n: usize) {
        let postgres = &self.nodes[n].postgres;
        let runs = postgres.server == Server::Running && !postgres.is_primary && postgres.promoting.is_none();
        let upstream = postgres.follows.filter(|m| runs && *m != n && *m < self.nodes.len());
        let upstream = upstream.filter(|m| !self.is_cut_off[n] && !self.is_cut_off[*m]);
        let wal = upstream
            .map(|m| &self.nodes[m].postgres)
            .filter(|from| from.is_up() && postgres.fits(&from.wal))
            .map(|from| from.wal.clone());
        let postgres = &mut self.nodes[n].postgres;
        postgres.is_streaming = wal.is_some();
        if let Some(wal) = wal {
            postgres.wal = wal;
        }
    }

    fn streams_from(&self, n: usize, m: usize) -> bool {
        let postgres = &self.nodes[n].postgres;
        postgres.is_streaming && postgres.follows == Some(m)
    }

    pub fn standbys_of(&self, m: usize) -> Vec<StandbyView> {
        let standbys = (0..self.nodes.len()).filter(|n| self.streams_from(*n, m));
        let view = |n: usize| {
            let end = Lsn(self.nodes[n].postgres.end());
            StandbyView {
                application_name: NAMES[n].into(),
                streaming: true,
                sync_state: SyncState::Async,
                write_lsn: end,
                flush_lsn: end,
                replay_lsn: end,
            }
        };
        standbys.map(view).collect()
    }

    /// Up to where clients have been told that their commits last.
    fn acknowledged_by(&self, n: usize) -> Option<u64> {
        let postgres = &self.nodes[n].postgres;
        if !postgres.may_write() {
            return None;
        }
        let mut have: Vec<(String, u64)> =
            self.standbys_of(n).into_iter().map(|standby| (standby.application_name, standby.flush_lsn.0)).collect();
        have.sort_by_key(|(_, end)| Reverse(*end));
        let nth = |names: Option<&BTreeSet<String>>, count: u32| {
            let named = have.iter().filter(|(name, _)| names.is_none_or(|names| names.contains(name)));
            named.map(|(_, end)| *end).nth(count.saturating_sub(1) as usize)
        };
        match &postgres.names {
            SynchronousStandbyNames::Off => Some(postgres.end()),
            SynchronousStandbyNames::Star => nth(None, 1),
            SynchronousStandbyNames::First { num_sync, names } | SynchronousStandbyNames::Any { num_sync, names } => {
                nth(Some(names), *num_sync)
            }
            SynchronousStandbyNames::Foreign(_) => None,
        }
    }
}
