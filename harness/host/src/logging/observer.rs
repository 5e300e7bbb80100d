//! What the agent decides and does, as lines of the log.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use pgdrill_agent::ports::{ActionOutcome, AgentEvent, Observer};
use tracing::{error, info, warn};

use super::outage::Outage;

/// Writes the agent's events to the log.
#[derive(Debug, Default)]
pub struct LogObserver {
    /// `log.deduplicate_heartbeat_logs`.
    deduplicate: bool,
    last_decision: Mutex<String>,
    /// What was wrong with the watchdog last: it is tried again in every loop, and told when it is something else.
    watchdog: Mutex<String>,
    /// What was wrong with etcd.
    dcs: Mutex<Outage>,
}

impl LogObserver {
    /// `deduplicate`: a decision that is the same as the one before is not told again.
    #[must_use]
    pub fn new(deduplicate: bool) -> Self {
        Self { deduplicate, ..Self::default() }
    }

    /// Whether it has been told that there is none; it is looked for again in every loop.
    fn has_no_watchdog(&self) -> bool {
        !self.watchdog.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn is_repeated(&self, text: &str) -> bool {
        self.deduplicate & is_same(&self.last_decision, text)
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.dcs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_outage(&self, text: &str) {
        let told = self.outage().tell(text, Instant::now());
        if let Some(text) = told {
            warn!("{text}");
        }
    }
}

/// Whether it is what was there before; it is there from now on.
fn is_same(last: &Mutex<String>, text: &str) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let same = *last == text;
    text.clone_into(&mut last);
    same
}

impl Observer for LogObserver {
    fn event(&self, event: AgentEvent) {
        let text = event.to_string();
        let looks_for_watchdog =
            matches!(&event, AgentEvent::Decision { actions, .. } if *actions == ["watchdog_activate"]);
        match event {
            _ if looks_for_watchdog && self.has_no_watchdog() => {}
            AgentEvent::Decision { reason, actions } if actions.is_empty() && self.outage().is_repeated_by(&reason) => {
            }
            AgentEvent::Decision { .. } if self.is_repeated(&text) => {}
            AgentEvent::Trouble { source: "watchdog", .. } if is_same(&self.watchdog, &text) => {}
            AgentEvent::Trouble { source: "dcs", .. } => self.tell_outage(&text),
            AgentEvent::Recovered { source, .. } => {
                if source == "dcs" {
                    self.outage().ends();
                }
                info!("{text}");
            }
            AgentEvent::Trouble { .. } => warn!("{text}"),
            AgentEvent::Reconfigured { needs_restart, .. } if !needs_restart.is_empty() => warn!("{text}"),
            AgentEvent::ActionEnded { outcome: ActionOutcome::Failed(_), .. } => error!("{text}"),
            _ => info!("{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_there_is_no_watchdog_is_known_once_it_was_told() {
        let observer = LogObserver::default();
        assert!(!observer.has_no_watchdog());
        observer.event(AgentEvent::Trouble { source: "watchdog", text: "no watchdog: no such file".into() });
        assert!(observer.has_no_watchdog());
    }

    #[test]
    fn what_is_told_again_is_the_same_until_something_else_comes() {
        let last = Mutex::default();
        let told = ["a", "a", "b", "a", "a"].map(|text| !is_same(&last, text));
        assert_eq!(told, [true, false, true, true, false]);
    }
}
