//! What the agent decides and does, as lines of the log.

use std::sync::{Mutex, PoisonError};

use pgdrill_agent::ports::{ActionOutcome, AgentEvent, Observer};
use tracing::{error, info, warn};

/// Writes the agent's events to the log.
#[derive(Debug, Default)]
pub struct LogObserver {
    /// `log.deduplicate_heartbeat_logs`.
    deduplicate: bool,
    last_decision: Mutex<String>,
}

impl LogObserver {
    /// `deduplicate`: a decision that is the same as the one before is not told again.
    #[must_use]
    pub fn new(deduplicate: bool) -> Self {
        Self { deduplicate, last_decision: Mutex::default() }
    }

    fn is_repeated(&self, text: &str) -> bool {
        let mut last = self.last_decision.lock().unwrap_or_else(PoisonError::into_inner);
        let repeated = *last == text;
        text.clone_into(&mut last);
        self.deduplicate && repeated
    }
}

impl Observer for LogObserver {
    fn event(&self, event: AgentEvent) {
        let text = event.to_string();
        match event {
            AgentEvent::Decision { .. } if self.is_repeated(&text) => {}
            AgentEvent::Trouble { .. } => warn!("{text}"),
            AgentEvent::Reconfigured { needs_restart, .. } if !needs_restart.is_empty() => warn!("{text}"),
            AgentEvent::ActionEnded { outcome: ActionOutcome::Failed(_), .. } => error!("{text}"),
            _ => info!("{text}"),
        }
    }
}
