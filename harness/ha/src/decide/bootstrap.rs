//! Creating a cluster or a replica, and knowing whose data directory it is (`Ha.bootstrap`, `post_bootstrap`).

use super::Cycle;
use crate::config::{FencingMode, WatchdogMode, standby_section};
use crate::decision::{Action, ConfigWrite, Decision, InitializeWrite, Reason, Then};
use crate::records::{Initialize, StatusRecord};
use crate::view::{DataDir, LockOutcome, TaskKind, TaskProgress, WriteOutcome};

impl Cycle<'_> {
    /// There is no data directory: whoever holds the lock lets go, then something is copied or created. One that cannot be used is
    /// not one that is not there: nothing takes its place.
    pub(super) fn without_data_dir(&mut self) -> Option<Decision> {
        let inaccessible = match self.local.postgres.data_dir {
            DataDir::Present => return None,
            DataDir::Unseen => return self.without_a_look(),
            DataDir::Inaccessible => true,
            DataDir::Empty | DataDir::Invalid => false,
        };
        let mut actions: Vec<Action> = self.plain_stop().into_iter().collect();
        if self.is_fenced() {
            actions.push(Action::WatchdogDisable);
        }
        if self.holds_lock() {
            actions.push(Action::ReleaseLock { optime: None });
            let why = if inaccessible { "the data directory cannot be used" } else { "the data directory is empty" };
            return Some(Decision::last(actions, Reason::ReleasingLock(why)));
        }
        let decision = if inaccessible {
            Decision::rest(Reason::DataDirInaccessible)
        } else if self.config.paused {
            Decision::rest(Reason::Paused("the data directory is empty"))
        } else {
            self.create()
        };
        Some(decision.after(actions))
    }

    /// The machine lacks what a look at the data directory takes. A server that runs goes on; one that does not is not started by
    /// guess-work, and whoever holds the lock keeps it, no longer than a start may take (`primary_start_timeout`).
    fn without_a_look(&mut self) -> Option<Decision> {
        if !self.local.postgres.is_absent() {
            return None;
        }
        if self.holds_lock() {
            match self.renewed() {
                Err(ask) => return Some(ask),
                Ok(LockOutcome::Held { .. }) if !self.config.paused => {
                    let began = *self.memory.start_began.get_or_insert(self.now);
                    if self.has_passed(began, self.config.primary_start_timeout) {
                        match self.can_hand_over() {
                            Err(ask) => return Some(ask),
                            Ok(true) => return Some(self.demote_immediate("PostgreSQL cannot be started")),
                            Ok(false) => {}
                        }
                    }
                }
                Ok(_) => {}
            }
        }
        Some(Decision::rest(Reason::MachineLacks))
    }

    fn create(&mut self) -> Decision {
        if let Some(leader) = self.cluster.leader_name().map(str::to_owned) {
            return self.clone_from(&leader);
        }
        match self.cluster.initialize {
            Some(Initialize::InProgress) => Decision::rest(Reason::WaitingForBootstrap),
            // Such as a restore from a backup; not while somebody may make the cluster.
            Some(_) | None if self.config.clones_without_leader && !self.may_make_cluster() => {
                Decision::last(vec![Action::Clone { from: None }], Reason::Cloning("a backup, without a leader".into()))
            }
            Some(_) => Decision::rest(Reason::WaitingForLeader),
            None if !self.may_make_cluster() => Decision::rest(Reason::WaitingForBootstrap),
            None => self.race_for_bootstrap(),
        }
    }

    fn may_make_cluster(&self) -> bool {
        self.cluster.initialize.is_none() && !self.config.tags.nofailover() && self.config.may_bootstrap
    }

    fn race_for_bootstrap(&mut self) -> Decision {
        match &self.local.round.initialize {
            None => {
                let claim = Action::WriteInitialize(InitializeWrite::Create);
                Decision::ask(vec![claim], Reason::Bootstrapping)
            }
            Some(WriteOutcome::Written { .. }) => {
                self.memory.bootstrapping = true;
                Decision::last(vec![Action::Bootstrap], Reason::Bootstrapping)
            }
            // Not knowing is not having it: if the claim is ours, nobody else starts either, and an operator sees it.
            Some(WriteOutcome::Conflict | WriteOutcome::Unknown { .. }) => Decision::rest(Reason::WaitingForBootstrap),
        }
    }

    /// From a running member tagged `clonefrom`, else from the leader. Patroni draws one of them; here it is the first by
    /// name after ours, which spreads the load as well and can be repeated.
    fn clone_from(&self, leader: &str) -> Decision {
        let tagged = self.cluster.members.iter().filter(|(name, record)| {
            record.tags.clonefrom() && record.is_running() && **name != self.local.name && *name != leader
        });
        let (before, after): (Vec<_>, Vec<_>) = tagged.map(|(name, _)| name).partition(|name| **name < self.local.name);
        let source = after.first().or(before.first()).map_or(leader, |name| name.as_str());
        let from = self.upstream_member(source).or_else(|| self.upstream_member(leader));
        match from {
            Some(from) => Decision::last(vec![Action::Clone { from: Some(from) }], Reason::Cloning(source.to_owned())),
            None => Decision::rest(Reason::WaitingForLeader),
        }
    }

    /// What follows a bootstrap of ours.
    pub(super) fn after_bootstrap(&mut self) -> Option<Decision> {
        if !self.memory.bootstrapping {
            return None;
        }
        let task = self.local.task.as_ref().filter(|task| task.kind == TaskKind::Bootstrap)?;
        match task.progress.clone() {
            TaskProgress::Running { .. } => Some(Decision::rest(Reason::Bootstrapping)),
            TaskProgress::Done => Some(self.bootstrapped()),
            TaskProgress::Failed { reason } => Some(self.cancel_bootstrap(reason)),
        }
    }

    fn bootstrapped(&mut self) -> Decision {
        // A new standby cluster is a copy that follows the remote primary.
        let follows = standby_section(&self.config.bootstrap_dcs).is_some();
        let watchdog = follows || self.local.watchdog.is_active || self.local.round.watchdog == Some(true);
        if self.config.watchdog == WatchdogMode::Required && !watchdog {
            return match self.local.round.watchdog {
                None => Decision::ask(vec![Action::WatchdogActivate { until: None }], Reason::Bootstrapping),
                Some(_) => self.cancel_bootstrap("the watchdog could not be activated".into()),
            };
        }
        if self.config.fencing == FencingMode::Required && !self.local.fence.is_usable {
            return self.cancel_bootstrap("the dead-man process is required and does not run".into());
        }
        let postgres = &self.local.postgres;
        let runs = if follows {
            postgres.is_running() && !postgres.is_running_primary()
        } else {
            postgres.is_running_primary()
        };
        let Some(id) = postgres.system_identifier.filter(|_| runs) else {
            let what =
                if follows { "PostgreSQL is not a running standby" } else { "PostgreSQL is not a running primary" };
            return self.cancel_bootstrap(what.into());
        };
        self.memory.bootstrapping = false;
        let status = StatusRecord { optime: postgres.position(), ..StatusRecord::default() };
        let actions = vec![
            Action::WriteInitialize(InitializeWrite::Set(id)),
            Action::WriteConfig(ConfigWrite::Initial(self.config.bootstrap_dcs.clone())),
            Action::AcquireLock { status },
        ];
        Decision::observe(actions, Reason::Bootstrapped)
    }

    fn cancel_bootstrap(&mut self, why: String) -> Decision {
        self.memory.bootstrapping = false;
        let mut actions: Vec<Action> = self.plain_stop().into_iter().collect();
        actions.push(Action::WatchdogDisable);
        actions.push(Action::MoveDataDirAway);
        // Last, so that nobody else begins while our remains could still be taken for a cluster.
        actions.push(Action::WriteInitialize(InitializeWrite::Delete));
        Decision { actions, reason: Reason::BootstrapFailed(why), then: Then::Exit }
    }

    /// The data directory must belong to this cluster.
    pub(super) fn with_wrong_identity(&mut self) -> Option<Decision> {
        let Some(ours) = self.local.postgres.system_identifier else {
            // pg_control cannot be read. Patroni returns early and keeps the lock alive with its member record (a zombie
            // lock); here the lock is given up. A running primary knows by its lock and its deadline what to do.
            let reason = Reason::InvalidSystemIdentifier;
            let release = self.holds_lock().then_some(Action::ReleaseLock { optime: None });
            let running = self.local.postgres.is_running_primary();
            return (!running).then(|| Decision::last(release.into_iter().collect(), reason));
        };
        match self.cluster.initialize {
            Some(Initialize::SystemIdentifier(cluster)) if cluster != ours => {
                let reason = Reason::ForeignSystemIdentifier { ours, cluster };
                let release = self.holds_lock().then_some(Action::ReleaseLock { optime: None });
                let mut decision = Decision::last(release.into_iter().collect(), reason);
                if !self.config.paused {
                    decision.then = Then::Exit;
                }
                Some(decision)
            }
            None if self.cluster.is_unlocked() && !self.config.paused => self.claim_identity(ours),
            _ => None,
        }
    }

    /// `/initialize` has gone and nobody leads: a primary says who the cluster is, a replica does not know.
    fn claim_identity(&self, ours: u64) -> Option<Decision> {
        if !self.local.postgres.is_running_primary() || self.local.round.initialize.is_some() {
            return None;
        }
        let write = Action::WriteInitialize(InitializeWrite::CreateWith(ours));
        Some(Decision::observe(vec![write], Reason::Bootstrapping))
    }

    pub(super) fn identity_matches(&self) -> bool {
        let ours = self.local.postgres.system_identifier.map(Initialize::SystemIdentifier);
        ours.is_some() && (self.cluster.initialize == ours || self.cluster.initialize.is_none())
    }

    /// Keys that the lock holder restores if they have gone.
    pub(super) fn repairs(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        if let (None, Some(id)) = (self.cluster.initialize, self.local.postgres.system_identifier) {
            actions.push(Action::WriteInitialize(InitializeWrite::CreateWith(id)));
        }
        if self.cluster.config.is_none() {
            actions.push(Action::WriteConfig(ConfigWrite::Restore));
        }
        actions
    }
}
