//! Which timeline recovery follows (`recovery_target_timeline`).

use pgdrill_net::Net;

use super::startup::Startup;
use crate::{Lsn, PgError, disk::wal::Wal};

impl<N: Net> Startup<N> {
    /// Decides which timeline archive recovery follows (`recovery_target_timeline = latest`).
    pub(super) fn choose_timeline(&mut self) -> Result<(), PgError> {
        let latest = self.server.state().settings.get("recovery_target_timeline") == "latest";
        let replayed = self.server.state().replayed;
        let chosen = self.server.dir.with(|cluster| {
            let control = &cluster.control;
            let own = control.own_tli();
            let target = cluster.timeline(if latest { cluster.newest_timeline(own) } else { own });
            let (checkpoint, checkpoint_tli) = (control.checkpoint.location, control.checkpoint.tli);
            match target.end_of(checkpoint_tli) {
                Some(end) if end.is_none_or(|end| end > checkpoint) => {}
                end => {
                    let fork = end.flatten().unwrap_or(Lsn::INVALID);
                    let message = format!("requested timeline {} is not a child of this server's history", target.tli);
                    return Err(PgError::fatal("XX000", message).detail(format!(
                        "Latest checkpoint is at {checkpoint} on timeline {checkpoint_tli}, but in the history of the \
                         requested timeline, the server forked off from that timeline at {fork}."
                    )));
                }
            }
            let (point, point_tli) = (control.min_recovery_point, control.min_recovery_tli);
            if point != Lsn::INVALID && target.tli_at(Lsn(point.0 - 1)) != point_tli {
                let message = format!(
                    "requested timeline {} does not contain minimum recovery point {point} on timeline {point_tli}",
                    target.tli
                );
                return Err(PgError::fatal("XX000", message));
            }
            // After crash recovery the position may lie past the fork: then the own timeline is followed for now.
            let reachable = target.ancestors.iter().all(|entry| entry.tli < own || entry.switch >= replayed);
            let target = if reachable { target } else { cluster.timeline(own) };
            for entry in target.ancestors.iter().filter(|entry| entry.tli >= own) {
                truncate_foreign(&mut cluster.wal, entry.tli, entry.switch);
            }
            Ok(target)
        })?;
        self.expected = chosen;
        Ok(())
    }

    /// Looks for a newer timeline and follows it if that is possible (`rescanLatestTimeLine`).
    pub(super) fn rescan_latest_timeline(&mut self) -> bool {
        let mut state = self.server.state();
        if state.settings.get("recovery_target_timeline") != "latest" {
            return false;
        }
        let current = self.expected.tli;
        let replayed = state.replayed;
        let found = self.server.dir.with(|cluster| {
            let newest = cluster.newest_timeline(current);
            (newest != current).then(|| cluster.timeline(newest))
        });
        let Some(found) = found else { return false };
        let newest = found.tli;
        let complaint = match found.end_of(current).flatten() {
            None => Some(format!("new timeline {newest} is not a child of database system timeline {current}")),
            Some(fork) if fork < replayed => Some(format!(
                "new timeline {newest} forked off current database system timeline {current} before current recovery \
                 point {replayed}"
            )),
            Some(fork) => {
                // WAL received beyond the fork but not replayed yet belongs to a timeline that is not followed.
                self.server.dir.with(|cluster| cluster.wal.truncate(fork));
                state.received = state.received.map(|received| received.min(fork));
                None
            }
        };
        drop(state);
        if let Some(complaint) = complaint {
            self.server.log(complaint);
            return false;
        }
        self.server.log(format_args!("new target timeline is {newest}"));
        self.expected = found;
        true
    }
}

/// Drops local WAL of timeline `tli` from `fork` on: another timeline is followed from there.
fn truncate_foreign(wal: &mut Wal, tli: u32, fork: Lsn) {
    if wal.from(fork).next().is_some_and(|record| record.tli <= tli) {
        wal.truncate(fork);
    }
}
