//! Looks at PostgreSQL: the process, the data directory, `pg_control`, and SQL if it answers.

use pgdrill_ha::{
    Lsn, Monotonic,
    records::HistoryLine,
    view::{self, AwaitedPosition, DbState, PostgresRole, PostgresView, Process, SynchronousStandbyNames},
};

use super::{
    parts::{Parts, Ports},
    patience::{Seen, seen},
};
use crate::{
    ports::{ClusterState, ControlData, DataDir, Postgres, Postmaster, SignalFiles},
    postgres::{Reachability, ServerState, SqlError},
};

/// What the observer must remember to tell a crash from a stop, a slow server from a starting one, and a machine that lacks
/// descriptors from a data directory that is gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    postmaster: Option<Postmaster>,
    starting_since: Option<Monotonic>,
    /// The server as SQL showed it last; kept while the same postmaster is merely slow.
    pub server: Option<ServerState>,
    role: PostgresRole,
    timeline: Option<u32>,
    system_identifier: Option<u64>,
    /// As read last, for a look for which the machine lacks something.
    control: Option<view::ControlData>,
    signal_files: SignalFiles,
    /// The history file of this timeline, as read last.
    history: Option<(u32, Vec<HistoryLine>)>,
}

impl Observed {
    /// PostgreSQL as it is now. `stopped_on_purpose`: the last thing we did to it was to stop it, or nothing at all.
    pub async fn look<T: Ports>(&mut self, parts: &Parts<T>, stopped_on_purpose: bool) -> PostgresView {
        let postgres = &parts.postgres;
        let (data_dir, mut lacking) = match seen(parts, postgres.data_dir().await) {
            Seen::Is(DataDir::Missing | DataDir::Empty) => (view::DataDir::Empty, false),
            Seen::Is(DataDir::Incomplete) => (view::DataDir::Invalid, false),
            Seen::Is(DataDir::Valid) => (view::DataDir::Present, false),
            Seen::Wrong => (view::DataDir::Inaccessible, false),
            Seen::Lacking => (view::DataDir::Unseen, true),
        };
        let mut view = PostgresView { data_dir, ..PostgresView::default() };
        if matches!(data_dir, view::DataDir::Present | view::DataDir::Unseen) {
            lacking |= self.read_control(parts, &mut view).await;
        }
        match seen(parts, postgres.postmaster().await) {
            Seen::Is(None) => {
                self.forget_server();
                parts.sql.disconnect();
                view.process = if stopped_on_purpose { Process::Stopped } else { Process::Crashed };
            }
            Seen::Is(Some(postmaster)) => self.ask_server(parts, postmaster, &mut view).await,
            // Not being able to tell is not "it is gone".
            unseen => {
                lacking |= matches!(unseen, Seen::Lacking);
                view.process = if self.postmaster.is_some() { Process::Running } else { Process::Stopped };
            }
        }
        self.fill(&mut view);
        lacking |= self.read_history(parts, &mut view).await;
        if lacking && view.data_dir == view::DataDir::Present {
            view.data_dir = view::DataDir::Unseen;
        }
        view
    }

    /// Tells whether the machine lacks what it takes. What was read last counts then.
    async fn read_control<T: Ports>(&mut self, parts: &Parts<T>, view: &mut PostgresView) -> bool {
        let mut lacking = false;
        match seen(parts, parts.postgres.controldata().await) {
            Seen::Is(control) => {
                self.system_identifier = Some(control.system_identifier);
                let mut read = control_view(&control);
                if control.state == ClusterState::ShutDown {
                    let end = parts.postgres.shutdown_checkpoint_end(control.timeline, control.checkpoint_lsn).await;
                    match seen(parts, end) {
                        Seen::Is(end) => read.checkpoint_end = end.map(Lsn),
                        Seen::Lacking => lacking = true,
                        Seen::Wrong => {}
                    }
                }
                self.control = Some(read);
            }
            Seen::Lacking => lacking = true,
            Seen::Wrong => self.control = None,
        }
        view.control.clone_from(&self.control);
        match seen(parts, parts.postgres.signal_files().await) {
            Seen::Is(files) => self.signal_files = files,
            Seen::Lacking => lacking = true,
            Seen::Wrong => self.signal_files = SignalFiles::default(),
        }
        view.has_standby_signal = self.signal_files.standby_signal;
        view.has_backup_label = self.signal_files.backup_label;
        lacking
    }

    /// The server that was seen is gone; what the data directory said stays.
    fn forget_server(&mut self) {
        *self = Self {
            system_identifier: self.system_identifier,
            role: self.role,
            control: self.control.take(),
            signal_files: self.signal_files,
            ..Self::default()
        };
    }

    async fn ask_server<T: Ports>(&mut self, parts: &Parts<T>, postmaster: Postmaster, view: &mut PostgresView) {
        if self.postmaster.as_ref() != Some(&postmaster) {
            parts.sql.disconnect();
            self.forget_server();
            self.postmaster = Some(postmaster);
        }
        view.process = match ServerState::read(&parts.sql).await {
            Ok(server) => {
                self.role = if server.in_recovery { PostgresRole::Replica } else { PostgresRole::Primary };
                self.server = Some(server);
                Process::Running
            }
            Err(SqlError::NotConnected(Reachability::ShuttingDown, _)) => Process::Stopping,
            // A slow primary is not a dead one (Patroni issues 3646 and 3637): what was known last still counts.
            Err(error) if self.server.is_some() => {
                view.is_silent = error.is_silence();
                parts.trouble("sql", error);
                Process::Running
            }
            Err(error) => {
                // A server that starts refuses connections: nothing to report. One that answers with an error is up.
                match &error {
                    SqlError::NotConnected(Reachability::LoginRejected, text) => {
                        let user = parts.config().postgresql.superuser.username.clone();
                        let setting = "postgresql.authentication.superuser, or pg_hba.conf, is wrong";
                        parts.trouble("sql", format!("the server does not let {user} in: {text}: {setting}"));
                    }
                    SqlError::NotConnected(Reachability::TlsFailed, text) => {
                        let setting = "sslmode and its like in postgresql.authentication.superuser ask for it";
                        parts.trouble("sql", format!("the server is not connected to: {text}: {setting}"));
                    }
                    SqlError::NotConnected(..) => {}
                    SqlError::Refused(_) | SqlError::FileGone(_) | SqlError::Unknown(_) | SqlError::Silence(_) => {
                        parts.trouble("sql", error)
                    }
                }
                Process::Starting { since: *self.starting_since.get_or_insert_with(|| parts.clock.now()) }
            }
        };
    }

    /// Puts what is known of the server into the view.
    fn fill(&mut self, view: &mut PostgresView) {
        view.system_identifier = self.system_identifier;
        if let Some(server) = &self.server {
            view.server_version = server.server_version;
            view.current_lsn = server.current_lsn;
            view.received_lsn = server.received_lsn;
            view.replayed_lsn = server.replayed_lsn;
            view.is_streaming = server.is_streaming();
            view.replay_paused = server.replay_paused;
            view.follows = server.follows.clone().filter(|_| server.in_recovery);
            view.standbys = server.standbys.iter().map(|row| row.view.clone()).collect();
            view.synchronous_standby_names = SynchronousStandbyNames::parse(&server.synchronous_standby_names);
            view.awaited_position = AwaitedPosition::of(&server.synchronous_commit);
            view.slots = server.slots.clone();
            let received = server.walreceiver.as_ref().and_then(|receiver| receiver.timeline);
            self.timeline = server.primary_timeline.or(received).or(self.timeline);
        } else if let Some(control) = &view.control {
            let follows = view.has_standby_signal || view.has_backup_label;
            self.role = role_when_down(control.state, follows, self.role);
        }
        view.role = self.role;
        // A replica without walreceiver: how far its own recovery has come.
        let from_control = || {
            let control = view.control.as_ref()?;
            Some(control.min_recovery_end.map_or(control.timeline, |(timeline, _)| timeline.max(control.timeline)))
        };
        view.timeline = self.timeline.or_else(from_control);
    }

    /// Tells whether the machine lacks what it takes.
    async fn read_history<T: Ports>(&mut self, parts: &Parts<T>, view: &mut PostgresView) -> bool {
        let mut short = false;
        if view.role == PostgresRole::Replica {
            (view.newest_timeline, short) = newest_timeline(parts, view.timeline).await;
        }
        let Some(timeline) = view.timeline.filter(|timeline| *timeline > 1) else { return short };
        let lacking = match seen(parts, parts.postgres.read_history(timeline).await) {
            Seen::Is(text) => {
                self.history = text.map(|text| (timeline, parse_history(&text)));
                false
            }
            Seen::Lacking => true,
            Seen::Wrong => {
                self.history = None;
                false
            }
        };
        if let Some((_, lines)) = self.history.as_ref().filter(|(of, _)| *of == timeline) {
            view.history.clone_from(lines);
        }
        lacking || short
    }
}

/// The last of the timelines after `own` whose history files are there without a gap, as PostgreSQL looks for them; and whether
/// the machine lacks what it takes to say.
async fn newest_timeline<T: Ports>(parts: &Parts<T>, own: Option<u32>) -> (Option<u32>, bool) {
    let Some(mut newest) = own else { return (None, false) };
    loop {
        match seen(parts, parts.postgres.read_history(newest + 1).await) {
            Seen::Is(Some(_)) => newest += 1,
            Seen::Is(None) | Seen::Wrong => return (Some(newest), false),
            Seen::Lacking => return (Some(newest), true),
        }
    }
}

/// What a server was before it ended, for an agent that was not there to see it. One that `follows`, by its files, is to be
/// a replica: a fresh copy has the `pg_control` of the primary that it was made of.
fn role_when_down(state: DbState, follows: bool, before: PostgresRole) -> PostgresRole {
    match state {
        _ if follows => PostgresRole::Replica,
        DbState::InProduction | DbState::ShutDown | DbState::ShuttingDown | DbState::InCrashRecovery => {
            PostgresRole::Primary
        }
        DbState::InArchiveRecovery | DbState::ShutDownInRecovery => PostgresRole::Replica,
        DbState::StartingUp => before,
    }
}

fn control_view(control: &ControlData) -> view::ControlData {
    let end = Lsn(control.min_recovery_end_lsn);
    view::ControlData {
        state: match control.state {
            ClusterState::StartingUp => DbState::StartingUp,
            ClusterState::ShutDown => DbState::ShutDown,
            ClusterState::ShutDownInRecovery => DbState::ShutDownInRecovery,
            ClusterState::ShuttingDown => DbState::ShuttingDown,
            ClusterState::InCrashRecovery => DbState::InCrashRecovery,
            ClusterState::InArchiveRecovery => DbState::InArchiveRecovery,
            ClusterState::InProduction => DbState::InProduction,
        },
        timeline: control.timeline,
        checkpoint: Lsn(control.checkpoint_lsn),
        checkpoint_end: None,
        min_recovery_end: (end > Lsn(0)).then_some((control.min_recovery_end_timeline, end)),
        data_checksums: control.data_checksums,
        wal_log_hints: control.wal_log_hints,
    }
}

/// Reads a timeline history file: `1<TAB>0/3000060<TAB>no recovery target specified`.
pub(crate) fn parse_history(text: &str) -> Vec<HistoryLine> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        Some(HistoryLine {
            timeline: fields.next()?.parse().ok()?,
            switchpoint: fields.next()?.parse().ok()?,
            reason: fields.collect::<Vec<_>>().join(" "),
            timestamp: None,
            new_leader: None,
        })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_file_tells_where_each_timeline_ended() {
        let lines = parse_history("1\t0/3000060\tno recovery target specified\n\n2\t0/5000000\tx\n");
        let found: Vec<_> = lines.iter().map(|line| (line.timeline, line.switchpoint)).collect();
        assert_eq!(found, [(1, Lsn(0x300_0060)), (2, Lsn(0x500_0000))]);
        assert_eq!(lines[0].reason, "no recovery target specified");
    }

    #[test]
    fn a_server_that_does_not_run_is_what_its_files_say() {
        use PostgresRole::{Primary, Replica};
        let role = |state, follows| role_when_down(state, follows, Replica);
        for (state, alone) in [
            (DbState::InProduction, Primary),
            (DbState::ShutDown, Primary),
            (DbState::InArchiveRecovery, Replica),
            (DbState::ShutDownInRecovery, Replica),
            (DbState::StartingUp, Replica),
        ] {
            assert_eq!(role(state, false), alone, "{state:?}");
            // A fresh copy of a primary says "in production", and was never one.
            assert_eq!(role(state, true), Replica, "{state:?} with a standby.signal or backup_label");
        }
    }
}
