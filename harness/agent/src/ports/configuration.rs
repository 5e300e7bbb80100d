//! The [`ConfigSource`] port: where the agent's own configuration can be read again while it runs (SIGHUP, `POST /reload`).

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::AgentConfig;

/// A configuration that was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reread {
    /// What the agent runs with from now on: what it ran with, and everything new that can be applied at once.
    pub config: AgentConfig,
    /// Fields that differ and are applied.
    pub applied: Vec<&'static str>,
    /// Fields that differ and count only when the agent is started anew.
    pub needs_restart: Vec<&'static str>,
}

/// Reads the configuration again.
pub trait ConfigSource: Send + Sync + 'static {
    /// Compares what is to be read now with what the agent runs with. `None`: there is nothing to read.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place. The running configuration is then kept whole.
    fn reread(&self, running: Arc<AgentConfig>) -> BoxFuture<'_, Result<Option<Reread>, Vec<String>>>;
}

/// A configuration that was given once and is written nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSource;

impl ConfigSource for NoSource {
    fn reread(&self, _running: Arc<AgentConfig>) -> BoxFuture<'_, Result<Option<Reread>, Vec<String>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
