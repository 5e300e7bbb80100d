//! The agent's own words, into the event stream: for people who read a run, never for the oracles.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use pgdrill_agent::ports::{AgentEvent, Observer};
use pgdrill_lab::event::What;
use pgdrill_probe::Journal;

/// Records what one agent says, without repeating itself.
pub(crate) struct Voice {
    node: String,
    journal: Journal,
    /// A leader says the same few things every loop; once is enough until something changes.
    lately: Mutex<VecDeque<String>>,
}

impl Voice {
    /// The voice of the agent on `node`.
    pub(crate) fn new(node: &str, journal: Journal) -> Self {
        Self { node: node.to_owned(), journal, lately: Mutex::default() }
    }
}

/// More than an agent says in one loop of a quiet cluster.
const LATELY: usize = 6;

impl Voice {
    fn heard_lately(&self, text: &str, turning_point: bool) -> bool {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        if turning_point {
            lately.clear();
        }
        if lately.iter().any(|said| said == text) {
            return true;
        }
        if lately.len() == LATELY {
            lately.pop_front();
        }
        lately.push_back(text.to_owned());
        false
    }
}

impl Observer for Voice {
    fn event(&self, event: AgentEvent) {
        let text = event.to_string();
        let turning_point =
            matches!(event, AgentEvent::Lock { .. } | AgentEvent::Role { .. } | AgentEvent::Started { .. });
        if self.heard_lately(&text, turning_point) {
            return;
        }
        let what = match event {
            AgentEvent::Decision { reason, actions } => What::Decision { reason, actions },
            _ => What::Note { text },
        };
        self.journal.record(&self.node, what);
    }
}
