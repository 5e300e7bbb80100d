//! `pgdrill agent`: the HA daemon of one node.

mod validate;

use std::{io::Write, path::PathBuf, process::ExitCode};

use pgdrill_agent::config::LogType;
use pgdrill_host::{
    config::{ConfigFile, Environment, read},
    daemon::{self, DaemonError},
    logging::line,
};

use super::{Failure, error};
use crate::input::draw;

/// Arguments of `pgdrill agent`.
#[derive(Debug, clap::Args)]
pub(crate) struct AgentArgs {
    /// Patroni's configuration file, or a folder with several; without one, everything is from PATRONI_* variables
    #[arg(value_name = "PATRONI.YML")]
    config: Option<PathBuf>,
    /// Check the configuration and the machine, say everything that is wrong, and end: 0 right, 1 the machine does not fit,
    /// 2 the configuration is wrong
    #[arg(long)]
    validate_config: bool,
    /// With --validate-config: ports that the agent and PostgreSQL listen on may be in use
    #[arg(short, long, requires = "validate_config")]
    ignore_listen_port: bool,
    /// Print a systemd unit for the agent, with the reasons for what is in it, and end
    #[arg(long, conflicts_with = "validate_config")]
    systemd_unit: bool,
}

/// Runs until it is asked to end.
pub(crate) fn run(arguments: &AgentArgs) -> Result<ExitCode, Failure> {
    if arguments.systemd_unit {
        let printed = std::io::stdout().write_all(pgdrill_host::systemd::UNIT.as_bytes());
        let unprinted = |why| Failure::Usage(vec![error(format_args!("standard output: {why}"))]);
        return printed.map(|()| ExitCode::SUCCESS).map_err(unprinted);
    }
    let environment = Environment::of_the_process();
    let loaded = read(arguments.config.as_deref(), &environment)
        .map_err(|problems| Failure::Usage(problems.iter().map(draw).collect()))?;
    // Whoever reads JSON reads every line as JSON; whoever checks a file wants to see the place.
    let json = Some(&loaded.config.log).filter(|log| log.kind == LogType::Json && !arguments.validate_config);
    let mut stderr = anstream::stderr().lock();
    for warning in &loaded.warnings {
        let line = json.map_or_else(|| draw(warning), |log| line(log, "WARNING", &warning.to_string()));
        // Nobody to tell when standard error is gone: a warning that nobody can read is no reason not to start.
        let _ = writeln!(stderr, "{line}");
    }
    drop(stderr);
    if arguments.validate_config {
        return Ok(validate::validate(&loaded.config, arguments.ignore_listen_port));
    }
    let told = |problem: &String| json.map_or_else(|| error(problem), |log| line(log, "ERROR", problem));
    daemon::prepare(&loaded.config).map_err(|failed| match failed {
        DaemonError::Preflight(problems) => Failure::Usage(problems.iter().map(told).collect()),
        other => Failure::Usage(vec![told(&other.to_string())]),
    })?;
    // Why it ended is in the log already.
    let source = ConfigFile::new(arguments.config.clone(), environment);
    Ok(daemon::run(loaded.config, source).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}
