//! The adapter alone: two data directories, no agent.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use pgdrill_agent::{
    config::{HostPort, Password, User},
    ports::{
        ClusterState, DataDir, InitdbOptions, Postgres, PostgresError, PrimaryConninfo, Recovery, ServerConfig,
        StopMode, Upstream,
    },
    postgres::Sql,
};
use pgdrill_host::postgres::{LocalPostgres, ServerOutput, Settings};
use pgdrill_net::TokioNet;

use crate::machine::{self, Place};

const PATIENCE: Duration = Duration::from_secs(60);

/// The trial: this program as an ordinary user.
pub(crate) fn start(bin: &str) {
    let place = Place::new();
    let output = place.command("real").arg("adapter").arg(place.path()).arg(bin).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}

/// The trial's body.
pub(crate) fn play(dir: &str, bin: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let subnet = machine::subnet();
        let local = |number| Local::new(dir, bin, format!("{subnet}.{number}"), number);
        let (first, second) = (local(1), local(2));
        new_cluster(&first).await;
        copy(&first, &second).await;
        rewind(&first, &second).await;
        crash(&second).await;
        removal(&first).await;
        for local in [&first, &second] {
            local.postgres.stop(StopMode::Immediate, PATIENCE).await.expect("it stops");
        }
    });
    ExitCode::SUCCESS
}

struct Local {
    postgres: LocalPostgres,
    sql: Sql<TokioNet>,
    address: String,
    data_dir: std::path::PathBuf,
}

impl Local {
    fn new(dir: &str, bin: &str, address: String, number: u32) -> Self {
        let dir = Path::new(dir);
        let data_dir = dir.join(format!("adapter{number}"));
        let mut settings = Settings::new(&data_dir, dir.join(format!("pgpass{number}")));
        settings.bin_dir = Some(bin.into());
        settings.server_output = ServerOutput::File(dir.join(format!("server{number}.log")));
        settings.basebackup = vec![("max-rate".into(), Some("200M".into()))];
        let superuser = User { username: "postgres".into(), password: Some(Password::new("super:user")) };
        let sql = Sql::new(TokioNet, HostPort::new(&address, 5432), superuser);
        let postgres = LocalPostgres::new(settings).expect("there is a working directory");
        Self { postgres, sql, address, data_dir }
    }

    fn config(&self, follows: Option<&Self>) -> ServerConfig {
        let parameters = [
            ("listen_addresses", self.address.as_str()),
            ("port", "5432"),
            ("unix_socket_directories", ""),
            ("wal_log_hints", "on"),
            ("max_connections", "30"),
            // Without it a checkpoint takes away the WAL that pg_rewind reads.
            ("wal_keep_size", "64MB"),
            ("cluster_name", "adapter"),
        ];
        let parameters: BTreeMap<_, _> = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let hba = ["host all all 127.0.0.0/8 scram-sha-256", "host replication all 127.0.0.0/8 scram-sha-256"];
        ServerConfig {
            parameters,
            hba: Some(hba.map(str::to_owned).to_vec()),
            ident: None,
            recovery: follows.map(|primary| Recovery {
                primary_conninfo: Some(PrimaryConninfo {
                    host: primary.address.clone(),
                    port: 5432,
                    user: "postgres".into(),
                    password: Some(Password::new("super:user")),
                    application_name: "copy".into(),
                    connect_timeout: Duration::from_secs(3),
                }),
                ..Recovery::default()
            }),
            ..ServerConfig::default()
        }
    }

    async fn start(&self, follows: Option<&Self>) {
        self.postgres.write_config(&self.config(follows)).await.expect("it is written");
        self.postgres.start().await.expect("it starts");
        self.sql.disconnect();
        until("it answers", async || self.sql.query("SELECT 1").await.is_ok()).await;
    }

    async fn first(&self, statement: &str) -> String {
        let rows = self.sql.query(statement).await.expect("it answers");
        rows.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned()
    }

    fn upstream(&self) -> Upstream {
        let password = Some(Password::new("super:user"));
        Upstream {
            host: self.address.clone(),
            port: 5432,
            user: "postgres".into(),
            password,
            dbname: "postgres".into(),
        }
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn new_cluster(first: &Local) {
    let postgres = &first.postgres;
    assert_eq!(postgres.data_dir().await, Ok(DataDir::Missing));
    assert!(matches!(postgres.start().await, Err(PostgresError::Refused(_))));
    let option = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    let options = InitdbOptions {
        options: vec![option("locale", "C.UTF-8"), option("auth", "scram-sha-256"), ("data-checksums".into(), None)],
        superuser: "postgres".into(),
        password: Some(Password::new("super:user")),
    };
    postgres.initdb(&options).await.expect("it is made");
    assert_eq!(postgres.data_dir().await, Ok(DataDir::Valid));
    assert!(matches!(postgres.initdb(&options).await, Err(PostgresError::Refused(_))));
    assert_eq!(postgres.controldata().await.expect("it is read").state, ClusterState::ShutDown);
    first.start(None).await;
    let postmaster = postgres.postmaster().await.expect("it is known").expect("it runs");
    assert!(matches!(postgres.start().await, Err(PostgresError::Refused(_))));
    assert_eq!(first.first("SELECT pg_is_in_recovery()").await, "f");
    assert!(matches!(postgres.promote().await, Err(PostgresError::Refused(_))), "a primary cannot be promoted");
    let control = postgres.controldata().await.expect("it is read");
    assert_eq!(control.state, ClusterState::InProduction);
    assert!(control.data_checksums && control.wal_log_hints && control.timeline == 1);
    let mut config = first.config(None);
    config.parameters.insert("work_mem".into(), "7MB".into());
    postgres.write_config(&config).await.expect("it is written");
    postgres.reload().await.expect("it is told");
    until("the new setting", async || first.first("SHOW work_mem").await == "7MB").await;
    assert_eq!(postgres.postmaster().await.expect("it is known"), Some(postmaster));
    first.first("CREATE TABLE t (n int)").await;
}

async fn copy(first: &Local, second: &Local) {
    let mut wrong = first.upstream();
    wrong.password = Some(Password::new("guessed"));
    let error = second.postgres.basebackup(&wrong).await.expect_err("the password is wrong");
    assert!(error.to_string().contains("password authentication failed"), "{error}");
    second.postgres.remove_data_dir().await.expect("what is left is removed");
    second.postgres.basebackup(&first.upstream()).await.expect("it is copied");
    assert!(second.postgres.signal_files().await.expect("they are read").backup_label);
    second.start(Some(first)).await;
    until("it streams", async || second.first("SELECT status FROM pg_stat_wal_receiver").await == "streaming").await;
    assert!(second.postgres.signal_files().await.expect("they are read").standby_signal);
    assert_eq!(second.postgres.controldata().await.expect("it is read").state, ClusterState::InArchiveRecovery);
}

/// The copy is promoted, the original goes on alone, and is then taken back.
async fn rewind(first: &Local, second: &Local) {
    second.postgres.promote().await.expect("the order is given");
    until("it is promoted", async || second.first("SELECT pg_is_in_recovery()").await == "f").await;
    let history = second.postgres.read_history(2).await.expect("it is read").expect("there is one");
    assert!(history.starts_with("1\t0/"), "{history}");
    second.first("CHECKPOINT").await;
    first.first("INSERT INTO t VALUES (1)").await;
    let error = first.postgres.rewind(&second.upstream()).await.expect_err("it runs");
    assert!(matches!(error, PostgresError::Refused(_)), "{error}");
    let ended = first.postgres.exited();
    first.postgres.stop(StopMode::Fast, PATIENCE).await.expect("it stops");
    // Nothing runs any more: waiting for the end of what ran must not begin now, nor end.
    drop(ended);
    assert_eq!(first.postgres.postmaster().await, Ok(None));
    let control = first.postgres.controldata().await.expect("it is read");
    assert_eq!(control.state, ClusterState::ShutDown);
    let end = first.postgres.shutdown_checkpoint_end(control.timeline, control.checkpoint_lsn).await;
    let end = end.expect("it is looked for").expect("it is the last record");
    assert!(end > control.checkpoint_lsn && end < control.checkpoint_lsn + 400, "{end:X}");
    first.postgres.rewind(&second.upstream()).await.expect("it is rewound");
    assert_eq!(first.postgres.data_dir().await, Ok(DataDir::Valid));
    first.start(Some(second)).await;
    until("it streams", async || first.first("SELECT status FROM pg_stat_wal_receiver").await == "streaming").await;
    assert_eq!(first.first("SELECT count(*) FROM t").await, "0", "what was written alone is gone");
}

/// A postmaster that is killed leaves no process behind that could commit, and single-user recovery mends the directory.
async fn crash(second: &Local) {
    let postmaster = second.postgres.postmaster().await.expect("it is known").expect("it runs");
    let ended = async {
        // Killed as soon as somebody waits for it.
        tokio::time::sleep(Duration::from_millis(300)).await;
        crate::machine::kill(postmaster.pid, libc::SIGKILL);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = second.postgres.exited() => {}
        () = ended => {}
        () = tokio::time::sleep(PATIENCE) => panic!("its end was not noticed"),
    }
    assert_eq!(second.postgres.postmaster().await, Ok(None), "a stale postmaster.pid is nobody");
    assert!(second.data_dir.join("postmaster.pid").exists());
    second.postgres.stop(StopMode::Fast, PATIENCE).await.expect("nothing is left of it");
    assert_eq!(second.postgres.controldata().await.expect("it is read").state, ClusterState::InProduction);
    second.postgres.single_user_recovery().await.expect("it recovers");
    assert_eq!(second.postgres.controldata().await.expect("it is read").state, ClusterState::ShutDown);
    second.start(None).await;
    second.postgres.kill().await.expect("it is killed");
    assert_eq!(second.postgres.postmaster().await, Ok(None));
    // A killed server's successor must not find its shared memory in use.
    second.start(None).await;
    let log = fs::read_to_string(second.data_dir.with_file_name("server2.log")).expect("there is one");
    assert!(!log.contains("super:user"));
}

async fn removal(first: &Local) {
    assert!(matches!(first.postgres.remove_data_dir().await, Err(PostgresError::Refused(_))));
    let patience = Duration::from_secs(1);
    let stopped = first.postgres.stop(StopMode::Smart, patience).await;
    assert!(matches!(stopped, Err(PostgresError::Unknown(_))), "a smart shutdown waits for its clients: {stopped:?}");
    first.sql.disconnect();
    first.postgres.stop(StopMode::Smart, PATIENCE).await.expect("it stops");
    let mut broken = first.config(None);
    // What PostgreSQL would not take is not written; that a library is not there, only the server finds out.
    broken.parameters.insert("shared_preload_libraries".into(), "there_is_none".into());
    first.postgres.write_config(&broken).await.expect("it is written");
    let error = first.postgres.start().await.expect_err("it cannot start");
    assert!(error.to_string().contains("FATAL") && error.to_string().contains("server1.log"), "{error}");
    first.postgres.set_aside_data_dir().await.expect("it is set aside");
    assert_eq!(first.postgres.data_dir().await, Ok(DataDir::Missing));
    assert!(first.data_dir.with_file_name("adapter1.failed/PG_VERSION").exists());
}
