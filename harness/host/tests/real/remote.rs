//! The primary of another data centre: a PostgreSQL without an agent, which a standby cluster replicates from.

use std::{fs, process::Command, thread::sleep, time::Duration};

use pgdrill_agent::{
    config::{HostPort, Password, User},
    postgres::Sql,
};
use pgdrill_net::TokioNet;

use crate::{
    cluster::block_on,
    machine::{self, Place, Process},
    member::{Member, REPLICATION_SECRET, SECRET},
};

/// The slot that the standby cluster has there.
pub(crate) const SLOT: &str = "dc2";

pub(crate) struct Remote {
    pub(crate) address: String,
    _server: Process,
    sql: Sql<TokioNet>,
}

impl Remote {
    /// A new one, with the roles that members use, and a slot.
    pub(crate) fn start(place: &Place, bin: &str, address: &str) -> Self {
        let dir = place.folder("remote");
        let password = dir.join("password");
        fs::write(&password, SECRET).expect("it is written");
        let data_dir = dir.join("pg");
        let mut initdb = place.command(&format!("{bin}/initdb"));
        initdb.arg("-D").arg(&data_dir).args([
            "-U",
            "postgres",
            "-k",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--auth=scram-sha-256",
        ]);
        succeed(initdb.arg("--pwfile").arg(&password));
        let allow = "local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\nhost replication all 127.0.0.0/8 scram-sha-256\n";
        fs::write(data_dir.join("pg_hba.conf"), allow).expect("it is written");
        let server = serve(place, bin, &data_dir.to_string_lossy(), address, &dir.to_string_lossy());
        let superuser = User { username: "postgres".into(), password: Some(Password::new(SECRET)) };
        let sql = Sql::new(TokioNet, HostPort::new(address, 5432), superuser);
        let remote = Self { address: address.to_owned(), _server: server, sql };
        machine::until("the remote primary answers", || remote.ask("SELECT 1").is_ok());
        let role = format!("CREATE ROLE replicator REPLICATION LOGIN PASSWORD '{REPLICATION_SECRET}'");
        let slot = format!("SELECT pg_create_physical_replication_slot('{SLOT}', true)");
        for statement in [role.as_str(), slot.as_str(), "CREATE TABLE written (n int8)"] {
            remote.ask(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        remote
    }

    /// The first column of the first row.
    pub(crate) fn ask(&self, statement: &str) -> Result<String, String> {
        block_on(async {
            self.sql.disconnect();
            let rows = self.sql.query(statement).await.map_err(|error| error.to_string())?;
            Ok(rows.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned())
        })
    }

    /// Who streams from it, with which slot.
    pub(crate) fn standbys(&self) -> String {
        let statement = "SELECT string_agg(format('%s %s', application_name, slot_name), ', ' ORDER BY application_name) \
                         FROM pg_stat_replication LEFT JOIN pg_replication_slots ON active_pid = pid WHERE state = 'streaming'";
        self.ask(statement).unwrap_or_default()
    }

    /// Makes a member's data directory: one of a replica that has streamed and was stopped.
    pub(crate) fn copy_to(&self, place: &Place, bin: &str, member: &Member) {
        let data_dir = member.node.data_dir();
        let mut copy = place.command(&format!("{bin}/pg_basebackup"));
        copy.env("PGPASSWORD", REPLICATION_SECRET).arg("-D").arg(&data_dir).args(["-h", &self.address]);
        succeed(copy.args(["-U", "replicator", "-R", "-X", "stream", "-c", "fast"]));
        let dir = member.node.dir.to_string_lossy().into_owned();
        let mut replica = serve(place, bin, &data_dir.to_string_lossy(), &member.node.address, &dir);
        machine::until("the copy streams", || self.standbys().contains("walreceiver"));
        replica.signal(libc::SIGINT);
        assert!(replica.wait().success());
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn serve(place: &Place, bin: &str, data_dir: &str, address: &str, sockets: &str) -> Process {
    let mut server = place.command(&format!("{bin}/postgres"));
    server.args(["-D", data_dir, "-c", &format!("listen_addresses={address}"), "-c", "shared_buffers=16MB"]);
    server.args([
        "-c",
        &format!("unix_socket_directories={sockets}"),
        "-c",
        "wal_keep_size=64MB",
        "-c",
        "wal_log_hints=on",
    ]);
    let log =
        fs::OpenOptions::new().create(true).append(true).open(format!("{sockets}/postgres.log")).expect("it is opened");
    server.stdout(log.try_clone().expect("it is open")).stderr(log);
    let process = Process::start(server);
    sleep(Duration::from_millis(100));
    process
}
