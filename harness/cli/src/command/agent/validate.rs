//! `pgdrill agent --validate-config`: whether the machine fits a configuration.

use std::{io::Write, process::ExitCode};

use pgdrill_agent::AgentConfig;
use pgdrill_host::{
    config::{Checks, check_machine},
    preflight,
};

use crate::command::error;

/// The configuration is right, and the machine does not fit it.
const MACHINE: u8 = 1;

/// Looks at the machine, and says everything that does not fit.
pub(super) fn validate(config: &AgentConfig, ignore_listen_port: bool) -> ExitCode {
    let mut misfits = preflight::check(config);
    let checks = Checks { listen_ports: !ignore_listen_port, etcd: true };
    misfits.extend(check_machine(config, checks).iter().map(ToString::to_string));
    let mut stderr = anstream::stderr().lock();
    for misfit in &misfits {
        // Nobody to tell when standard error is gone: the exit code is all that is left.
        let _ = writeln!(stderr, "{}", error(misfit));
    }
    if !misfits.is_empty() {
        return ExitCode::from(MACHINE);
    }
    let _ = writeln!(anstream::stdout(), "{} of {} can be used", config.name, config.scope);
    ExitCode::SUCCESS
}
