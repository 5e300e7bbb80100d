//! Carries out a decision's actions, in order, and puts what came of them into the round.

use std::sync::Arc;

use pgdrill_ha::{
    Monotonic,
    decision::{Action, ConfigWrite, InitializeWrite, StartAs, StopRequest, Upstream},
    records::{Key, failsafe_to_json},
    view::{FailedAction, LockOutcome, Round, TaskKind, Versioned, WriteOutcome},
};

use super::{
    adopt, bootstrap, copy, copy_slots, demote, lifecycle,
    parts::{Parts, Ports},
    peers, scripts, slots,
    task::TaskSlot,
};
use crate::{
    config::WatchdogMode,
    ports::{FenceError, Postgres, Watchdog, WatchdogState},
    postgres::{SqlError, statements},
};

/// Why an action ended its list.
pub(crate) struct Failure {
    reason: String,
    unknown: bool,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { reason, unknown: false }
    }
}

/// Executes actions for one cycle.
pub(crate) struct Executor<'a, T: Ports> {
    pub parts: &'a Arc<Parts<T>>,
    pub task: &'a mut TaskSlot,
    /// We stopped PostgreSQL ourselves, or it never ran: its absence is no crash.
    pub stopped_on_purpose: &'a mut bool,
}

impl<T: Ports> Executor<'_, T> {
    /// Executes the list up to the first failure.
    pub async fn run(&mut self, actions: Vec<Action>, round: &mut Round) {
        round.failed = None;
        for action in actions {
            let name = action.name();
            if let Err(Failure { reason, unknown }) = self.execute(action, round).await {
                round.failed = Some(FailedAction { action: name.to_owned(), reason, unknown });
                return;
            }
            // What follows in the list presumes that the lock is ours.
            let lock_asked = matches!(name, "renew_lock" | "acquire_lock");
            if lock_asked && !matches!(round.lock, Some(LockOutcome::Held { .. })) {
                return;
            }
        }
    }

    async fn execute(&mut self, action: Action, round: &mut Round) -> Result<(), Failure> {
        match action {
            Action::RenewLock { .. }
            | Action::AcquireLock { .. }
            | Action::ReleaseLock { .. }
            | Action::WriteInitialize(_)
            | Action::WriteConfig(_)
            | Action::WriteHistory(_)
            | Action::WriteSync { .. }
            | Action::WriteFailsafe(_)
            | Action::ClearFailover { .. } => self.write_dcs(action, round).await,
            Action::AskPeers { peers, .. } => {
                round.peers = Some(peers::ask_rivals(self.parts, &peers).await?);
                Ok(())
            }
            Action::AskFailsafe(peers) => {
                round.failsafe_asked_at = self.parts.clock.now();
                round.failsafe = Some(peers::ask_failsafe(self.parts, &peers).await);
                Ok(())
            }
            Action::InspectLeader(upstream) => {
                round.leader = Some(peers::inspect_leader(self.parts, &upstream).await);
                Ok(())
            }
            Action::WatchdogActivate { until } => {
                let activated = self.activate_watchdog();
                round.watchdog = Some(activated);
                if activated { self.keep_alive(until) } else { Ok(()) }
            }
            Action::WatchdogKeepalive { until } => self.keep_alive(until.or(round.lock_lasts_until())),
            Action::WatchdogDisable => demote::disarm(self.parts).await.map_err(Failure::from),
            Action::FenceArm { until } => {
                let armed = self.parts.fencing.arm(self.parts.clock.instant(until)).await;
                let armed = armed.inspect_err(|error| self.parts.trouble("fencing", unfenced(error)));
                round.fence = Some(armed.is_ok());
                Ok(())
            }
            other => self.operate_postgres(other).await,
        }
    }

    async fn write_dcs(&mut self, action: Action, round: &mut Round) -> Result<(), Failure> {
        let (dcs, ttl) = (&self.parts.dcs, self.parts.shared.published().config.ttl);
        match action {
            Action::RenewLock { status } => {
                let records: Vec<_> = status.iter().map(|status| (Key::Status, status.to_json())).collect();
                let outcome = dcs.renew_lock(ttl, &records).await;
                if let (LockOutcome::Held { status_revision: Some(revision), .. }, Some(status)) = (&outcome, status) {
                    self.parts.shared.published().status_written = Some(Versioned::new(status, *revision));
                }
                round.lock = Some(outcome);
                Ok(())
            }
            Action::AcquireLock { status } => {
                round.lock = Some(dcs.acquire_lock(ttl, &status).await);
                Ok(())
            }
            Action::ReleaseLock { optime } => {
                round.released = true;
                written(demote::release_lock(self.parts, optime).await)
            }
            Action::WriteInitialize(write) => self.write_initialize(write, round).await,
            Action::WriteConfig(write) => {
                let value = match write {
                    ConfigWrite::Initial(value) => value,
                    ConfigWrite::Restore => {
                        let known = self.parts.shared.published().last_config.clone();
                        match known {
                            Some(known) => known,
                            // An instance that was there before any cluster: this is where it becomes one.
                            None => match adopt::first_config(self.parts).await {
                                Ok(first) => first,
                                // Not knowing what the server has is not that it has nothing: the next cycle asks again.
                                Err(error) => {
                                    let what = "the first dynamic configuration waits for what the server has";
                                    self.parts.trouble("sql", format!("{what}: {error}"));
                                    return Ok(());
                                }
                            },
                        }
                    }
                };
                written(dcs.compare_and_set(&Key::Config, 0, &value.to_string()).await)
            }
            Action::WriteHistory(history) => written(dcs.put_as_holder(&Key::History, &history.to_json()).await),
            Action::WriteSync { record, expected } => {
                round.sync = Some(match record {
                    Some(record) => dcs.compare_and_set(&Key::Sync, expected, &record.to_json()).await,
                    None => dcs.compare_and_delete(&Key::Sync, expected).await,
                });
                Ok(())
            }
            Action::WriteFailsafe(record) => {
                written(dcs.put_as_holder(&Key::Failsafe, &failsafe_to_json(&record)).await)
            }
            Action::ClearFailover { expected } => {
                // Somebody's newer request is not ours to clear: a conflict is as good as done.
                match dcs.compare_and_set(&Key::Failover, expected, "{}").await {
                    WriteOutcome::Conflict => Ok(()),
                    outcome => written(outcome),
                }
            }
            other => Err(Failure::from(format!("{} does not write the DCS", other.name()))),
        }
    }

    async fn write_initialize(&mut self, write: InitializeWrite, round: &mut Round) -> Result<(), Failure> {
        let dcs = &self.parts.dcs;
        match write {
            InitializeWrite::Create => {
                round.initialize = Some(dcs.create_once(&Key::Initialize, "").await);
                Ok(())
            }
            InitializeWrite::Set(id) => written(dcs.put(&Key::Initialize, &id.to_string()).await),
            InitializeWrite::CreateWith(id) => written(dcs.compare_and_set(&Key::Initialize, 0, &id.to_string()).await),
            InitializeWrite::Delete => written(dcs.delete(&Key::Initialize).await),
        }
    }

    async fn operate_postgres(&mut self, action: Action) -> Result<(), Failure> {
        let parts = Arc::clone(self.parts);
        match action {
            Action::Stop(request) => return self.stop(request).await,
            Action::Follow { upstream, restart } => return self.follow(upstream, restart).await,
            Action::ResumeReplay => return sql(parts.sql.query(statements::RESUME_REPLAY).await.map(drop)),
            Action::SetSynchronousStandbyNames(names) => {
                parts.shared.desired().standby_names = Some(names.to_string());
                return self.reconfigure().await;
            }
            Action::ResetSynchronousStandbyNames => {
                parts.shared.desired().standby_names = None;
                return self.reconfigure().await;
            }
            Action::SyncSlots(wanted) => slots::sync(&parts, &wanted).await,
            Action::MoveDataDirAway => parts.postgres.set_aside_data_dir().await.map_err(lifecycle::text)?,
            Action::RemoveDataDir => parts.postgres.remove_data_dir().await.map_err(lifecycle::text)?,
            Action::CancelTask => return self.cancel().await,
            task => self.start_task(task),
        }
        Ok(())
    }

    fn start_task(&mut self, action: Action) {
        let parts = Arc::clone(self.parts);
        let now = parts.clock.now();
        match action {
            Action::Start(start_as) => {
                lifecycle::prepare(&parts, &start_as);
                *self.stopped_on_purpose = false;
                match start_as {
                    StartAs::Primary { still_allowed_until } => {
                        self.task.start(TaskKind::Start, now, |_| lifecycle::start_primary(parts, still_allowed_until));
                    }
                    StartAs::Replica(_) => self.task.start(TaskKind::Start, now, |_| lifecycle::start(parts)),
                }
            }
            Action::Promote { still_allowed_until } => {
                self.task.start(TaskKind::Promote, now, |past| lifecycle::promote(parts, still_allowed_until, past));
            }
            Action::Checkpoint => self.task.start(TaskKind::Checkpoint, now, |_| lifecycle::checkpoint(parts)),
            Action::Rewind(upstream) => {
                *self.stopped_on_purpose = true;
                self.task.start(TaskKind::Rewind, now, |_| lifecycle::rewind(parts, upstream));
            }
            Action::CrashRecovery => {
                self.task.start(TaskKind::CrashRecovery, now, |_| lifecycle::crash_recovery(parts));
            }
            Action::RunPrePromote => {
                self.task.start(TaskKind::PrePromote, now, |_| async move { scripts::pre_promote(&parts).await });
            }
            Action::CopySlots { slots, from } => {
                self.task.start(TaskKind::CopySlots, now, |_| copy_slots::copy(parts, slots, from));
            }
            Action::Bootstrap => {
                *self.stopped_on_purpose = false;
                parts.callbacks.told().bootstrapping(true);
                self.task.start(TaskKind::Bootstrap, now, |_| bootstrap::bootstrap(parts));
            }
            Action::Clone { from } => {
                *self.stopped_on_purpose = true;
                self.task.start(TaskKind::Clone, now, |_| copy::clone(parts, from, false));
            }
            other => self.parts.trouble("postgres", format!("{} is no task", other.name())),
        }
    }

    async fn stop(&mut self, request: StopRequest) -> Result<(), Failure> {
        *self.stopped_on_purpose = true;
        let parts = Arc::clone(self.parts);
        if request.early_release.is_some() {
            let now = parts.clock.now();
            self.task.start(TaskKind::Demote, now, |_| demote::stop(parts, request));
            return Ok(());
        }
        demote::stop(parts, request).await.map_err(Failure::from)
    }

    async fn follow(&mut self, upstream: Upstream, restart: bool) -> Result<(), Failure> {
        lifecycle::prepare(self.parts, &StartAs::Replica(upstream));
        if restart {
            let (parts, now) = (Arc::clone(self.parts), self.parts.clock.now());
            self.task.start(TaskKind::Restart, now, |_| lifecycle::restart(parts));
            return Ok(());
        }
        self.reconfigure().await
    }

    /// Writes the configuration and has a running server read it.
    async fn reconfigure(&mut self) -> Result<(), Failure> {
        lifecycle::write_config(self.parts).await?;
        if self.parts.postgres.postmaster().await.map_err(lifecycle::text)?.is_some() {
            lifecycle::reload(self.parts).await?;
        }
        Ok(())
    }

    async fn cancel(&mut self) -> Result<(), Failure> {
        // Half-started is neither up nor down: the postmaster goes with the task that was starting it.
        if self.task.cancel() == Some(TaskKind::Start) {
            *self.stopped_on_purpose = true;
            lifecycle::stop_for_long(self.parts, crate::ports::StopMode::Immediate, None).await?;
        }
        Ok(())
    }

    /// Keeps the watchdog quiet, until the end of our leadership at the most.
    fn keep_alive(&self, until: Option<Monotonic>) -> Result<(), Failure> {
        let Some(until) = until else { return Ok(()) };
        let left = until.since(self.parts.clock.now());
        self.parts.watchdog.keepalive(left).map_err(|error| error.to_string().into())
    }

    /// Arms the watchdog, or sets its time-out anew. One that cannot do with `loop_wait` is not used, since it would reset a
    /// healthy machine (`Watchdog._activate`).
    fn activate_watchdog(&self) -> bool {
        let (ttl, loop_wait) = {
            let published = self.parts.shared.published();
            (published.config.ttl, published.config.loop_wait)
        };
        let config = self.parts.config();
        let timeout = config.watchdog.timeout(ttl);
        if config.watchdog.mode == WatchdogMode::Off {
            return false;
        }
        let activated = if timeout < loop_wait {
            Err(format!(
                "its time-out, {timeout:?} of a ttl of {ttl:?}, must not be shorter than loop_wait, {loop_wait:?}"
            ))
        } else {
            self.parts.watchdog.activate(timeout).map_err(|error| error.to_string())
        };
        let activated = activated.and_then(|()| match self.parts.watchdog.state() {
            WatchdogState::Active { timeout } if timeout < loop_wait => {
                Err(format!("the device does {timeout:?}, which is shorter than loop_wait, {loop_wait:?}"))
            }
            _ => Ok(()),
        });
        if let Err(why) = &activated {
            self.parts.trouble("watchdog", why);
            // What it was set to before does not fit any more.
            if let Err(error) = self.parts.watchdog.disable() {
                self.parts.trouble("watchdog", error);
            }
        }
        activated.is_ok()
    }
}

/// Said loudly: in mode `automatic` the node leads all the same.
pub(super) fn unfenced(error: &FenceError) -> String {
    format!("{error}: nothing will stop PostgreSQL if this agent freezes")
}

fn written(outcome: WriteOutcome) -> Result<(), Failure> {
    match outcome {
        WriteOutcome::Written { .. } => Ok(()),
        WriteOutcome::Conflict => Err("somebody else has changed the key".to_owned().into()),
        WriteOutcome::Unknown { reason } => Err(Failure { reason, unknown: true }),
    }
}

fn sql(outcome: Result<(), SqlError>) -> Result<(), Failure> {
    outcome.map_err(|error| {
        let unknown = matches!(error, SqlError::Unknown(_) | SqlError::Silence(_));
        Failure { reason: error.to_string(), unknown }
    })
}
