//! Who is told that a process has ended.

use super::Engine;
use crate::status::Exit;

impl Engine {
    /// Every end of a process so far.
    #[must_use]
    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }

    /// Calls `listener` for every end of a process from now on.
    pub fn on_exit(&mut self, listener: impl FnMut(&Exit) + 'static) {
        self.exit_listeners.push(Box::new(listener));
    }

    /// Panics, with every name and reason, if a process has ended by a fault of its own. Tests end with this.
    pub fn assert_no_faults(&self) {
        let faults: Vec<String> = self
            .exits
            .iter()
            .filter(|exit| exit.reason.is_fault())
            .map(|exit| format!("{} at {:?}: {}", self.process_name(exit.process), exit.at, exit.reason))
            .collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
