//! The agent's own words, into the event stream: for people who read a run, never for the oracles.

use std::sync::Mutex;

use pgdrill_agent::ports::{AgentEvent, Observer};
use pgdrill_lab::event::What;
use pgdrill_probe::Journal;

/// Records what one agent says, without repeating itself.
pub(crate) struct Voice {
    node: String,
    journal: Journal,
    /// A leader says the same thing every loop; once is enough until it says something else.
    last: Mutex<String>,
}

impl Voice {
    /// The voice of the agent on `node`.
    pub(crate) fn new(node: &str, journal: Journal) -> Self {
        Self { node: node.to_owned(), journal, last: Mutex::default() }
    }
}

impl Observer for Voice {
    fn event(&self, event: AgentEvent) {
        let text = event.to_string();
        {
            let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *last == text {
                return;
            }
            last.clone_from(&text);
        }
        let what = match event {
            AgentEvent::Decision { reason, actions } => What::Decision { reason, actions },
            _ => What::Note { text },
        };
        self.journal.record(&self.node, what);
    }
}
