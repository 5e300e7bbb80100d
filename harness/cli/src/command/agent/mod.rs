//! `pgdrill agent`: the HA daemon of one node.

mod interim;

use std::{path::PathBuf, process::ExitCode};

use pgdrill_host::daemon::{self, DaemonError};

use super::{Failure, error};

/// Arguments of `pgdrill agent`.
#[derive(Debug, clap::Args)]
pub(crate) struct AgentArgs {
    /// Patroni's configuration file
    #[arg(value_name = "PATRONI.YML")]
    config: PathBuf,
}

/// Runs until it is asked to end.
pub(crate) fn run(arguments: &AgentArgs) -> Result<ExitCode, Failure> {
    let usage = |text: String| Failure::Usage(vec![error(text)]);
    let config = interim::read(&arguments.config).map_err(usage)?;
    daemon::prepare(&config).map_err(|failed| match failed {
        DaemonError::Preflight(problems) => Failure::Usage(problems.into_iter().map(error).collect()),
        other => usage(other.to_string()),
    })?;
    // Why it ended is in the log already.
    Ok(daemon::run(config).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}
