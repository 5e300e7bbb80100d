//! A toy PostgreSQL: a process with a role, and WAL that knows who wrote it.
//!
//! Starting, stopping and promoting take their time. The WAL is a list of segments, one for each promotion; two promotions
//! that take the same timeline number have different authors all the same.

use pgdrill_ha::Lsn;
use pgdrill_ha::records::HistoryLine;
use pgdrill_ha::view::{
    ControlData, DataDir, DbState, Follows, PostgresRole, PostgresView, Process, SynchronousStandbyNames,
};

use super::Ms;
use crate::fixture::{SYSTEM_ID, control};

/// A stretch of WAL that one primary wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub timeline: u32,
    /// The promotion it began with.
    pub author: u32,
    pub end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Server {
    Absent,
    /// It accepts connections from then on.
    Starting {
        until: Ms,
    },
    Running,
    /// A fast shutdown: its first second may still bring commits.
    Stopping {
        since: Ms,
        until: Ms,
    },
}

#[derive(Debug, Clone)]
pub struct Postgres {
    pub server: Server,
    pub is_primary: bool,
    pub wal: Vec<Segment>,
    pub state: DbState,
    pub has_standby_signal: bool,
    pub has_backup_label: bool,
    /// Promoting: a primary from then on.
    pub promoting: Option<Ms>,
    pub follows: Option<usize>,
    pub is_streaming: bool,
    pub names: SynchronousStandbyNames,
    pub manages_names: bool,
    /// What it does takes its time: hostile.
    pub is_slow: bool,
}

impl Postgres {
    /// A server on timeline 1: a primary, or a standby of the first node.
    pub fn new(is_primary: bool) -> Self {
        Postgres {
            server: Server::Running,
            is_primary,
            wal: vec![Segment { timeline: 1, author: 0, end: 1000 }],
            state: if is_primary { DbState::InProduction } else { DbState::InArchiveRecovery },
            has_standby_signal: !is_primary,
            has_backup_label: false,
            promoting: None,
            follows: (!is_primary).then_some(0),
            is_streaming: false,
            names: SynchronousStandbyNames::Off,
            manages_names: false,
            is_slow: false,
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(self.server, Server::Running | Server::Stopping { .. })
    }

    /// Whether it could acknowledge a commit now, if standbys let it.
    pub fn may_write(&self) -> bool {
        self.is_primary && self.is_up() && self.state != DbState::ShuttingDown
    }

    pub fn end(&self) -> u64 {
        self.wal.last().map_or(0, |segment| segment.end)
    }

    /// Whether it has what the author wrote up to there.
    pub fn has(&self, author: u32, end: u64) -> bool {
        self.wal.iter().any(|segment| segment.author == author && segment.end >= end)
    }

    /// Whether a standby with this WAL can stream from a server with `upstream`.
    pub fn fits(&self, upstream: &[Segment]) -> bool {
        let Some((last, before)) = self.wal.split_last() else { return true };
        let same = upstream.get(..before.len()).is_some_and(|start| start == before);
        same && upstream.get(before.len()).is_some_and(|other| other.author == last.author && other.end >= last.end)
    }

    /// SIGKILL, SIGQUIT or a crash: gone at once.
    pub fn kill(&mut self) {
        if self.state == DbState::ShuttingDown {
            self.state = DbState::InProduction;
        }
        (self.server, self.promoting, self.is_streaming) = (Server::Absent, None, false);
    }

    pub fn stop_fast(&mut self, now: Ms) {
        if matches!(self.server, Server::Starting { .. }) {
            return self.kill();
        }
        if self.server == Server::Running {
            let until = now + if self.is_slow { 60_000 } else { 500 };
            self.server = Server::Stopping { since: now, until };
        }
    }

    pub fn start(&mut self, now: Ms) {
        if self.server == Server::Absent {
            (self.is_primary, self.promoting) = (!self.has_standby_signal, None);
            self.server = Server::Starting { until: now + if self.is_slow { 8000 } else { 1000 } };
        }
    }

    /// `pg_ctl promote`: whether there is somebody to promote.
    pub fn promote(&mut self, now: Ms) -> bool {
        let can = self.server == Server::Running && !self.is_primary;
        if can {
            self.promoting = Some(now + if self.is_slow { 8000 } else { 500 });
        }
        can
    }

    /// What the time has brought. `author`: for a promotion that ends now; whether it was used.
    pub fn pass(&mut self, now: Ms, author: u32) -> bool {
        match self.server {
            Server::Starting { until } if now >= until => {
                self.server = Server::Running;
                self.state = if self.is_primary { DbState::InProduction } else { DbState::InArchiveRecovery };
                self.has_backup_label = false;
            }
            Server::Stopping { since, until } if now < until => {
                let is_quiet = self.is_primary && now >= since + 1000;
                self.state = if is_quiet { DbState::ShuttingDown } else { self.state };
            }
            Server::Stopping { .. } => {
                self.state = if self.is_primary { DbState::ShutDown } else { DbState::ShutDownInRecovery };
                (self.server, self.promoting, self.is_streaming) = (Server::Absent, None, false);
            }
            _ => {}
        }
        let promoted = self.promoting.is_some_and(|until| now >= until) && self.server == Server::Running;
        if promoted {
            let last = self.wal.last().expect("a server has WAL");
            let next = Segment { timeline: last.timeline + 1, author, end: last.end };
            self.wal.push(next);
            (self.is_primary, self.promoting, self.has_standby_signal) = (true, None, false);
            (self.state, self.follows, self.is_streaming) = (DbState::InProduction, None, false);
        }
        promoted
    }

    /// The data directory as a fresh copy of another's.
    pub fn copy(&mut self, wal: &[Segment]) {
        self.wal = wal.to_vec();
        (self.is_primary, self.has_standby_signal) = (false, true);
        self.state = DbState::InArchiveRecovery;
    }

    /// As the agent sees it. `stopped_on_purpose`, `since`: what the agent remembers of it.
    pub fn view(&self, stopped_on_purpose: bool, since: pgdrill_ha::Monotonic) -> PostgresView {
        let end = Lsn(self.end());
        let timeline = self.wal.last().map(|segment| segment.timeline);
        let process = match self.server {
            Server::Absent if stopped_on_purpose => Process::Stopped,
            Server::Absent => Process::Crashed,
            Server::Starting { .. } => Process::Starting { since },
            Server::Running => Process::Running,
            Server::Stopping { .. } => Process::Stopping,
        };
        let before = self.wal.split_last().map_or(&[][..], |(_, before)| before);
        let line = |segment: &Segment| HistoryLine {
            timeline: segment.timeline,
            switchpoint: Lsn(segment.end),
            reason: "no recovery target specified".into(),
            timestamp: None,
            new_leader: None,
        };
        PostgresView {
            data_dir: if self.wal.is_empty() { DataDir::Empty } else { DataDir::Present },
            process,
            role: if self.is_primary { PostgresRole::Primary } else { PostgresRole::Replica },
            control: (!self.wal.is_empty()).then(|| ControlData {
                timeline: timeline.unwrap_or(1),
                checkpoint: end,
                checkpoint_end: Some(end),
                min_recovery_end: (!self.is_primary).then_some((timeline.unwrap_or(1), end)),
                ..control(self.state)
            }),
            has_backup_label: self.has_backup_label,
            has_standby_signal: self.has_standby_signal,
            was_managed: true,
            system_identifier: (!self.wal.is_empty()).then_some(SYSTEM_ID),
            server_version: 160_000,
            timeline,
            newest_timeline: timeline.filter(|_| !self.is_primary),
            current_lsn: Some(end).filter(|_| self.is_primary),
            received_lsn: Some(end).filter(|_| !self.is_primary),
            replayed_lsn: Some(end).filter(|_| !self.is_primary),
            is_streaming: self.is_streaming,
            follows: self.follows.filter(|_| !self.is_primary).map(|node| Follows {
                host: format!("10.0.0.{}", node + 1),
                port: 5432,
                slot: None,
            }),
            synchronous_standby_names: self.names.clone(),
            manages_standby_names: self.manages_names,
            history: before.iter().map(line).collect(),
            ..PostgresView::default()
        }
    }
}
