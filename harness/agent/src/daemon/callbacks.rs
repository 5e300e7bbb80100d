//! Callbacks: which one is due, and running it beside everything else (`Postgresql.call_nowait`, `CallbackExecutor`).
//!
//! One runs at a time, and a newer one ends an older one with all it has started: what it has to say is out of date. `on_reload`
//! has a place of its own, so that a reload does not cut off the news of a promotion.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pgdrill_ha::records::MemberRole;
use tokio::{task::JoinHandle, time::timeout};

use super::parts::{Parts, Ports};
use crate::{
    config::Callbacks as Commands,
    ports::{ActionOutcome, AgentEvent, Observer, Program},
};

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the names that patroni.yml has for them")]
pub(crate) enum Callback {
    OnStart,
    OnStop,
    OnRestart,
    OnReload,
    OnRoleChange,
}

impl Callback {
    /// Patroni's name for it, and the first argument.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnStart => "on_start",
            Self::OnStop => "on_stop",
            Self::OnRestart => "on_restart",
            Self::OnReload => "on_reload",
            Self::OnRoleChange => "on_role_change",
        }
    }

    fn command(self, config: &Commands) -> Option<&str> {
        let command = match self {
            Self::OnStart => &config.on_start,
            Self::OnStop => &config.on_stop,
            Self::OnRestart => &config.on_restart,
            Self::OnReload => &config.on_reload,
            Self::OnRoleChange => &config.on_role_change,
        };
        command.as_deref()
    }
}

/// A callback and the role it tells.
pub(crate) type Due = (Callback, MemberRole);

/// What was told, and what is to be told as soon as PostgreSQL runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Anything was told since the agent has started (`cb_called`).
    any: bool,
    /// What PostgreSQL is as far as callbacks know.
    role: Option<MemberRole>,
    /// It was started or restarted, and does not accept connections yet.
    pending: Option<Callback>,
    /// A new cluster is being made: nothing is told before it is one.
    bootstrapping: bool,
}

impl Told {
    /// PostgreSQL is about to be started (`OnStart`) or restarted (`OnRestart`).
    pub fn will_start(&mut self, callback: Callback) {
        self.pending = Some(callback);
    }

    /// A bootstrap begins or ends.
    pub fn bootstrapping(&mut self, on: bool) {
        self.bootstrapping = on;
    }

    /// PostgreSQL accepts connections and no task is at work on it.
    pub fn runs(&mut self, role: MemberRole) -> Option<Due> {
        use MemberRole::{Demoted, Primary, Replica, StandbyLeader};
        if self.bootstrapping {
            return None;
        }
        let before = self.role.replace(role);
        let standby = |role| matches!(role, Replica | StandbyLeader);
        let left_office = matches!(before, Some(Primary | Demoted)) && standby(role);
        let took_turns = before.is_some_and(standby) && standby(role) && before != Some(role);
        // A change of role is told instead of the start that comes with it.
        let changed = self.any && (left_office || took_turns);
        let callback = match self.pending.take() {
            _ if changed => Callback::OnRoleChange,
            Some(pending) => pending,
            None if !self.any => Callback::OnStart,
            None => return None,
        };
        self.tell(callback, role)
    }

    /// PostgreSQL was stopped, and not to be started again at once.
    pub fn stopped(&mut self, role: MemberRole) -> Option<Due> {
        self.pending = None;
        let told = self.tell(Callback::OnStop, self.role.unwrap_or(role));
        if self.role == Some(MemberRole::Primary) {
            self.role = Some(MemberRole::Demoted);
        }
        told
    }

    /// The order to promote was given.
    pub fn promoted(&mut self) -> Option<Due> {
        self.role = Some(MemberRole::Primary);
        self.tell(Callback::OnRoleChange, MemberRole::Primary)
    }

    /// A leader's PostgreSQL could not be started, and the lock is given away (`post_recover`).
    pub fn failed_in_office(&mut self) -> Option<Due> {
        let in_office = matches!(self.role, Some(MemberRole::Primary | MemberRole::StandbyLeader));
        self.role = Some(MemberRole::Demoted);
        in_office.then(|| self.tell(Callback::OnRoleChange, MemberRole::Demoted)).flatten()
    }

    /// The configuration was read again.
    pub fn reloaded(&mut self, role: MemberRole) -> Option<Due> {
        (!self.bootstrapping).then_some((Callback::OnReload, self.role.unwrap_or(role)))
    }

    fn tell(&mut self, callback: Callback, role: MemberRole) -> Option<Due> {
        if self.bootstrapping {
            return None;
        }
        self.any = true;
        Some((callback, role))
    }
}

/// The callbacks of one agent.
#[derive(Debug, Default)]
pub(crate) struct Callbacks {
    told: Mutex<Told>,
    running: Mutex<Option<JoinHandle<()>>>,
    reloading: Mutex<Option<JoinHandle<()>>>,
}

impl Callbacks {
    /// What was told, to be changed.
    pub fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }

    /// Waits for what still runs: the news of the last stop is not to be cut off by the agent's own end.
    pub async fn finish(&self, limit: Duration) {
        let running = [lock(&self.running).take(), lock(&self.reloading).take()];
        for mut task in running.into_iter().flatten() {
            if timeout(limit, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        for place in [&self.running, &self.reloading] {
            if let Some(task) = lock(place).take() {
                task.abort();
            }
        }
    }
}

impl<T: Ports> Parts<T> {
    /// Runs a callback, if one is due and configured, in place of an older one. Returns at once.
    pub(crate) fn call_back(self: &Arc<Self>, due: Option<Due>) {
        let Some((callback, role)) = due else { return };
        let config = self.config();
        let Some(command) = callback.command(&config.postgresql.callbacks) else { return };
        let name = format!("callback {}", callback.name());
        let program = match Program::parse(command) {
            Ok(program) => program.arg(callback.name()).arg(word(role)).arg(config.scope.clone()),
            Err(error) => return self.trouble("callbacks", format!("{name}: {error}")),
        };
        let mut place = match callback {
            Callback::OnReload => lock(&self.callbacks.reloading),
            _ => lock(&self.callbacks.running),
        };
        let older = place.take();
        if let Some(older) = &older {
            older.abort();
        }
        // The task must not keep alive what it belongs to: the end of the agent ends it.
        let (programs, parts) = (Arc::clone(&self.programs), Arc::downgrade(self));
        let say = move |event| {
            if let Some(parts) = parts.upgrade() {
                parts.observer.event(event);
            }
        };
        *place = Some(tokio::spawn(async move {
            if let Some(older) = older {
                // Its program is ended when its future is dropped, and not before.
                let _ = older.await;
            }
            say(AgentEvent::ActionStarted { action: format!("{name} ({})", program.argv.join(" ")) });
            let outcome = match programs.run(program).await {
                Ok(exit) if exit.is_success() => ActionOutcome::Done,
                Ok(exit) => ActionOutcome::Failed(exit.to_string()),
                Err(error) => ActionOutcome::Failed(error.to_string()),
            };
            say(AgentEvent::ActionEnded { action: name, outcome });
        }));
    }
}

/// Patroni's word for a role; a promotion under way is told as what it becomes.
fn word(role: MemberRole) -> String {
    let role = if role == MemberRole::Promoted { MemberRole::Primary } else { role };
    serde_json::to_value(role).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A panic while a lock is held ends the agent anyway.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "callbacks_tests.rs"]
mod tests;
