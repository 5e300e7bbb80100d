//! What the PostgreSQL at hand does not take is not written (Patroni's `validator.py`): it would not start with that, and take no
//! other change of its files. Which parameters a version has, the table of `pgdrill_settings` knows; a build of somebody's own may
//! have more, and tells them itself (`postgres --describe-config`).

use std::{collections::BTreeMap, fs};

use pgdrill_agent::ports::ServerConfig;
use pgdrill_settings::postgresql::{Use, judge_for};
use serde_json::Value;
use tracing::warn;

use super::{program, settings::Settings};

/// The configuration as it can be written for this server.
pub(super) async fn fitting(settings: &Settings, config: &ServerConfig) -> ServerConfig {
    let mut config = config.clone();
    let Some(major) = major(settings) else { return config };
    let mut own = Own::default();
    fit(settings, major, &mut config.parameters, &mut own).await;
    for recovery in [&mut config.recovery, &mut config.past_recovery].into_iter().flatten() {
        fit(settings, major, &mut recovery.parameters, &mut own).await;
    }
    config
}

/// By what version the data directory was made; `None`: nobody can tell, so that nothing is judged.
fn major(settings: &Settings) -> Option<u16> {
    fs::read_to_string(settings.data_dir.join("PG_VERSION")).ok()?.trim().parse().ok()
}

async fn fit(settings: &Settings, major: u16, parameters: &mut BTreeMap<String, String>, own: &mut Own) {
    for (name, value) in std::mem::take(parameters) {
        let judged = judge_for(major, &name, &Value::String(value.clone()));
        let written = match judged.as_ref().map(|judgement| &judgement.used) {
            None => Some(value.clone()),
            Some(Use::Instead(other)) => Some(other.clone()),
            Some(Use::LeftOut) => None,
            Some(Use::IfKnown) => own.has(settings, &name).await.then(|| value.clone()),
        };
        match &written {
            Some(same) if *same == value => {}
            Some(other) => warn!("{name}: PostgreSQL {major} does not take {value}: {other} is used instead"),
            None => warn!("{name}: PostgreSQL {major} does not take it, so that it is left out: {value}"),
        }
        parameters.extend(written.map(|value| (name, value)));
    }
}

/// The parameters that the programs at hand tell of themselves, once they were asked.
#[derive(Default)]
struct Own(Option<Vec<String>>);

impl Own {
    async fn has(&mut self, settings: &Settings, name: &str) -> bool {
        if self.0.is_none() {
            self.0 = Some(described(settings).await);
        }
        self.0.iter().flatten().any(|known| known.eq_ignore_ascii_case(name))
    }
}

async fn described(settings: &Settings) -> Vec<String> {
    let mut command = program::command(&settings.program("postgres"));
    command.arg("--describe-config");
    match program::run(command).await {
        Ok(text) => text.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect(),
        Err(error) => {
            warn!("which parameters PostgreSQL has is not known: {error}");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use pgdrill_agent::ports::Recovery;

    use super::*;
    use crate::play_program::play_program;

    #[tokio::test]
    async fn what_this_server_does_not_know_is_not_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let postgres = dir.path().join("postgres");
        let script = "#!/bin/sh\n[ \"$1\" = --describe-config ] && printf 'own_parameter\\tsighup\\n'\n";
        play_program(&postgres, script);
        let mut settings = Settings::new(dir.path(), dir.path().join("pgpass"));
        settings.bin_dir = Some(dir.path().into());
        let said = [
            ("work_mem", "4MB"),
            ("summarize_wal", "on"),
            ("own_parameter", "1"),
            ("no_such_parameter", "1"),
            ("maintenance_work_mem", "1kB"),
            ("own.extension", "1"),
        ];
        let of_recovery = [("restore_command", "cp"), ("promote_trigger_file", "x")];
        let map = |said: &[(&str, &str)]| said.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let recovery = Recovery { parameters: map(&of_recovery), ..Recovery::default() };
        let config = ServerConfig { parameters: map(&said), recovery: Some(recovery), ..ServerConfig::default() };
        assert_eq!(fitting(&settings, &config).await, config, "of what version it is, nobody can tell");
        fs::write(dir.path().join("PG_VERSION"), "16\n").expect("it is written");
        let fitting = fitting(&settings, &config).await;
        let written =
            [("maintenance_work_mem", "1024kB"), ("own.extension", "1"), ("own_parameter", "1"), ("work_mem", "4MB")];
        assert_eq!(fitting.parameters, map(&written));
        assert_eq!(fitting.recovery.expect("it has one").parameters, map(&of_recovery[..1]));
    }
}
