//! The agent as a service of systemd (`Type=notify`): it says when it is ready, what it is (role and lock), that it reloads or
//! ends, and that its loop still turns. Outside of systemd nothing of it has any effect.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pgdrill_agent::ports::{AgentEvent, Observer};
use sd_notify::NotifyState;
use tracing::debug;

/// The unit file, with the reasons for what is in it.
pub const UNIT: &str = include_str!("../../systemd/pgdrill-agent.service");

/// Tells systemd what the agent does, and passes everything on to another observer.
#[derive(Debug, Default)]
pub struct Notifying<O> {
    inner: O,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    ready: bool,
    role: Option<String>,
    leads: bool,
    ends: bool,
}

impl<O> Notifying<O> {
    /// In front of `inner`.
    pub fn new(inner: O) -> Self {
        Self { inner, said: Mutex::default() }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The agent is about to read its configuration again (SIGHUP). Its next turn says that it is ready again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => debug!("systemd: {error}"),
    }
}

/// The agent has been asked to end (SIGTERM), which may take as long as PostgreSQL's shutdown.
pub fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("ending: PostgreSQL is stopped and the lock given away")]);
}

impl<O: Observer> Observer for Notifying<O> {
    fn event(&self, event: AgentEvent) {
        {
            let mut said = self.said();
            let changed = match &event {
                AgentEvent::Role { to, .. } => said.role.replace(to.clone()).as_ref() != Some(to),
                AgentEvent::Lock { held, .. } => std::mem::replace(&mut said.leads, *held) != *held,
                AgentEvent::Stopped { .. } => {
                    said.ends = true;
                    send(&[NotifyState::Stopping]);
                    false
                }
                _ => false,
            };
            if changed && !said.ends {
                send(&[NotifyState::Status(&said.status())]);
            }
        }
        self.inner.event(event);
    }

    fn turned(&self) {
        let first = !std::mem::replace(&mut self.said().ready, true);
        // Harmless when it is ready already, and the end of a reload otherwise.
        send(&[NotifyState::Ready]);
        if first {
            send(&[NotifyState::Status(&self.said().status())]);
        }
        // From the loop itself: a loop that hangs must not be kept alive by somebody else.
        if sd_notify::watchdog_enabled().is_some() {
            send(&[NotifyState::Watchdog]);
        }
        self.inner.turned();
    }
}

impl Said {
    fn status(&self) -> String {
        let role = self.role.as_deref().unwrap_or("without a role yet");
        let lock = if self.leads { "holds the leader lock" } else { "does not hold the leader lock" };
        format!("{role}, {lock}")
    }
}

fn send(state: &[NotifyState<'_>]) {
    // Nobody listens outside of systemd; a full or broken socket is no reason to disturb the agent.
    if let Err(error) = sd_notify::notify(state) {
        debug!("systemd: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::UNIT;

    #[test]
    fn the_unit_keeps_postgresql_alive_when_the_agent_is_killed() {
        let setting = |name: &str| UNIT.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        assert_eq!(setting("KillMode"), Some("process"));
        assert_eq!(setting("Type"), Some("notify"));
        assert_eq!(setting("RestartPreventExitStatus"), Some("2"));
        let restart: u64 = setting("RestartSec").and_then(|s| s.strip_suffix('s')?.parse().ok()).expect("seconds");
        assert!(restart < 20, "a restart must come before ttl - loop_wait");
    }
}
