//! What each script is called with, and what its end means.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use tokio::time::{Duration, Instant, sleep};

use super::*;
use crate::{
    AgentConfig,
    config::{BootstrapConfig, Password},
    fixtures::{FakeKv, FakePostgres, Heard, config, parts_with_programs},
    ports::{ProgramError, ProgramExit, Programs},
};

/// Keeps every call and ends with the code that the program's name is.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Program>>>);

impl Recorder {
    fn only_call(&self) -> Program {
        let calls = self.0.lock().expect("no test panics while it holds this").clone();
        let [call] = <[Program; 1]>::try_from(calls).expect("one call");
        call
    }
}

impl Programs for Recorder {
    fn run(&self, program: Program) -> BoxFuture<'_, Result<ProgramExit, ProgramError>> {
        let name = program.name().to_owned();
        self.0.lock().expect("no test panics while it holds this").push(program);
        Box::pin(async move {
            if name == "hangs" {
                sleep(Duration::from_secs(1000)).await;
            }
            name.parse()
                .map(ProgramExit::Code)
                .map_err(|_| ProgramError::NotStarted { program: name, reason: "no such file".into() })
        })
    }
}

fn parts(config: AgentConfig, programs: &Recorder) -> Arc<Parts<crate::fixtures::TestPorts>> {
    parts_with_programs(config, FakeKv::default(), FakePostgres::default(), Heard::default(), programs.clone())
}

#[tokio::test]
async fn only_exit_code_0_lets_a_promotion_go_on() {
    for (command, expected) in [
        ("0", Ok(())),
        ("3 --now", Err("pre_promote ended with exit code 3")),
        ("missing", Err("pre_promote: missing cannot be started: no such file")),
        ("'", Err("pre_promote: a command line with an unfinished quote, or with nothing in it")),
    ] {
        let mut config = config();
        config.postgresql.pre_promote = Some(command.into());
        let outcome = pre_promote(&*parts(config, &Recorder::default())).await;
        assert_eq!(outcome, expected.map_err(str::to_owned), "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_cannot_wait_ends_before_stop() {
    let mut config = config();
    config.postgresql.before_stop = Some("hangs".into());
    let began = Instant::now();
    before_stop(&*parts(config, &Recorder::default()), Some(Duration::from_secs(2))).await;
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}

#[tokio::test]
async fn post_bootstrap_gets_a_connection_string_and_the_password_apart_from_it() {
    let mut config = config();
    config.postgresql.superuser.password = Some(Password::new("secret"));
    config.postgresql.connection.superuser.insert("sslmode".into(), "require".into());
    config.bootstrap = Some(BootstrapConfig { post_bootstrap: Some("0 --setup".into()), ..BootstrapConfig::default() });
    let recorder = Recorder::default();
    post_bootstrap(&*parts(config, &recorder)).await.expect("exit code 0");
    let call = recorder.only_call();
    assert_eq!(call.argv, ["0", "--setup", "dbname=postgres user=postgres host=127.0.0.1 port=1 sslmode=require"]);
    assert_eq!(call.env["PGOPTIONS"], "-c synchronous_commit=local -c statement_timeout=0");
    let pgpass = call.pgpass.expect("the password").lines();
    assert_eq!(pgpass, "127.0.0.1:1:*:postgres:secret\n");
}

#[tokio::test]
async fn own_methods_are_told_what_patroni_tells_them() {
    let mut told = config();
    told.postgresql.data_dir = "/data/pg".into();
    told.postgresql.connection.replication.insert("sslmode".into(), "verify-ca".into());
    let recorder = Recorder::default();
    let method = BootstrapMethod {
        name: "restore".into(),
        command: "0 --stanza main".into(),
        no_params: false,
        keep_existing_recovery_conf: false,
        recovery_conf: serde_json::Map::new(),
        params: vec![("delta".into(), "on".into()), ("scope".into(), "other".into())],
    };
    custom_bootstrap(&*parts(told.clone(), &recorder), &method).await.expect("exit code 0");
    let expected = ["0", "--stanza", "main", "--scope=demo", "--datadir=/data/pg", "--delta=on"];
    assert_eq!(recorder.only_call().argv, expected);

    let (recorder, from) = (Recorder::default(), HostPort::new("pg 1", 5433));
    let params = [("no_leader", "1"), ("jobs", "2"), ("role", "primary")];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut method = ReplicaMethod { params, no_leader: true, ..ReplicaMethod::default() };
    custom_replica(&*parts(told.clone(), &recorder), "0", &method, Some(&from)).await.expect("exit code 0");
    let connstring = r"--connstring=dbname=postgres user=replicator host=pg\ 1 port=5433 sslmode=verify-ca";
    let expected =
        ["0", "--no_leader=1", "--jobs=2", "--scope=demo", "--role=replica", "--datadir=/data/pg", connstring];
    assert_eq!(recorder.only_call().argv, expected);

    let recorder = Recorder::default();
    method.no_params = true;
    custom_replica(&*parts(told, &recorder), "0", &method, None).await.expect("exit code 0");
    assert_eq!(recorder.only_call().argv, ["0", "--jobs=2", "--role=primary"]);
}
