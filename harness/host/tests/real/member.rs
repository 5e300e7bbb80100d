//! One node: its settings, its agent's process, and what can be asked of it from outside.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use pgdrill_agent::{
    AgentConfig,
    config::{
        BootstrapConfig, BootstrapMethod, ConnectionOptions, CtlConfig, EtcdTls, HostPort, Password, ReplicaMethod,
        RestapiTls, User, VerifyClient,
    },
    ports::NoSource,
    postgres::{Sql, SqlError},
    rest::client::Client,
};
use pgdrill_host::daemon;
use pgdrill_net::TokioNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    cluster::block_on,
    machine::{Place, Process},
    remote::SLOT,
};

/// The superuser's password.
pub(crate) const SECRET: &str = "p:w\\with 'all'";

/// The replication user's password.
pub(crate) const REPLICATION_SECRET: &str = "rep:l";

/// What the agent's process is told.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) etcd: String,
    pub(crate) bin: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) password: String,
    /// The folder with certificates, and which of them is taken for the authority's; `None`: without TLS.
    pub(crate) tls: Option<(PathBuf, String)>,
    pub(crate) more: More,
}

/// What only some nodes have.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct More {
    /// The folder with `all.pem`, a certificate that is its own authority and everybody's: of PostgreSQL, etcd and REST, servers
    /// and clients.
    pub(crate) everything: Option<PathBuf>,
    /// Whether the agent's own calls to other agents show none.
    pub(crate) calls_without: bool,
    /// The data directory below the node's folder, if that is not `pg`.
    pub(crate) data_dir: Option<PathBuf>,
    /// `bootstrap.method`.
    pub(crate) bootstrap: Option<String>,
    /// Its `keep_existing_recovery_conf`.
    pub(crate) keep_existing_recovery_conf: bool,
    /// Its `recovery_conf`.
    pub(crate) recovery_conf: serde_json::Map<String, Value>,
    /// The only one of `create_replica_methods`; it needs no leader.
    pub(crate) replica: Option<String>,
    /// Where the remote primary is; `None`: this is no standby cluster.
    pub(crate) remote: Option<String>,
}

impl Node {
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join(self.more.data_dir.as_deref().unwrap_or(Path::new("pg")))
    }

    /// `sslmode` and its like, of every user.
    pub(crate) fn connection(&self) -> BTreeMap<String, String> {
        if let Some(dir) = &self.more.everything {
            let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
            return BTreeMap::from([
                ("sslmode".into(), "verify-full".into()),
                ("sslrootcert".into(), file("all.pem")),
                ("sslcert".into(), file("all.pem")),
                ("sslkey".into(), file("all.key")),
            ]);
        }
        let Some((dir, authority)) = &self.tls else { return BTreeMap::new() };
        let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
        BTreeMap::from([
            ("sslmode".into(), "verify-ca".into()),
            ("sslrootcert".into(), file(authority)),
            ("sslcert".into(), file("client.pem")),
            ("sslkey".into(), file("client.key")),
        ])
    }

    /// As its superuser.
    fn sql(&self) -> Sql<TokioNet> {
        let superuser = User { username: "postgres".into(), password: Some(Password::new(SECRET)) };
        Sql::new(TokioNet, HostPort::new(&self.address, 5432), superuser).with_options(&self.connection())
    }

    /// Whether its agent connects as with `use_unix_socket`.
    fn uses_socket(&self) -> bool {
        self.name == "pg2" && self.tls.is_none()
    }

    pub(crate) fn config(&self) -> AgentConfig {
        let etcd = vec![HostPort::new(&self.etcd, 2379)];
        let mut config = AgentConfig::new("real", &self.name, &self.address, etcd);
        config.restapi.listen = HostPort::new(&self.address, 8008);
        let postgresql = &mut config.postgresql;
        postgresql.listen = HostPort::new(&self.address, 5432);
        if self.uses_socket() {
            postgresql.local_address.host = self.dir.to_string_lossy().into_owned();
        }
        postgresql.data_dir = self.data_dir().to_string_lossy().into_owned();
        postgresql.bin_dir = Some(self.bin.clone());
        postgresql.pgpass = Some(self.dir.join("pgpass"));
        postgresql.superuser.password = Some(Password::new(&self.password));
        postgresql.replication =
            User { username: "replicator".into(), password: Some(Password::new(REPLICATION_SECRET)) };
        let connection = self.connection();
        postgresql.connection =
            ConnectionOptions { superuser: connection.clone(), replication: connection, rewind: BTreeMap::new() };
        let (kind, how) = match (&self.tls, &self.more.everything) {
            (None, None) => ("host", "scram-sha-256"),
            _ => ("hostssl", "scram-sha-256 clientcert=verify-ca"),
        };
        let host = |database: &str| format!("{kind} {database} all 127.0.0.0/8 {how}");
        let all = ["local all all trust".to_owned(), host("all"), host("replication")];
        let mut parameters = json!({"unix_socket_directories": self.dir, "shared_buffers": "16MB"});
        let files = match (&self.tls, &self.more.everything) {
            (_, Some(dir)) => Some((dir, ["all.pem", "all.key", "all.pem"])),
            (Some((dir, _)), None) => Some((dir, ["server.pem", "server.key", "ca.pem"])),
            (None, None) => None,
        };
        if let Some((dir, files)) = files {
            parameters["ssl"] = "on".into();
            for (name, file) in ["cert", "key", "ca"].into_iter().zip(files) {
                parameters[format!("ssl_{name}_file")] = dir.join(file).to_string_lossy().into();
            }
        }
        postgresql.parameters = parameters.as_object().expect("an object").clone();
        if let Some(command) = &self.more.replica {
            postgresql.create_replica_methods = vec!["restore".into()];
            let method = ReplicaMethod { command: Some(command.clone()), no_leader: true, ..ReplicaMethod::default() };
            postgresql.replica_methods = BTreeMap::from([("restore".into(), method)]);
        }
        let option = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let mut dcs = json!({"ttl": 20, "loop_wait": 2, "retry_timeout": 3, "postgresql": {
            "use_pg_rewind": true, "parameters": {"max_connections": 40, "wal_keep_size": "64MB"}}});
        if let Some(host) = &self.more.remote {
            dcs["standby_cluster"] = json!({"host": host, "port": 5432, "primary_slot_name": SLOT,
                "create_replica_methods": ["basebackup"]});
        }
        config.bootstrap = Some(BootstrapConfig {
            dcs,
            initdb: vec![option("encoding", "UTF8"), option("locale", "C.UTF-8"), ("data-checksums".into(), None)],
            pg_hba: Some(all.to_vec()),
            method: self.more.bootstrap.as_ref().map(|command| BootstrapMethod {
                name: "restore".into(),
                command: command.clone(),
                no_params: false,
                keep_existing_recovery_conf: self.more.keep_existing_recovery_conf,
                recovery_conf: self.more.recovery_conf.clone(),
                params: Vec::new(),
            }),
            ..BootstrapConfig::default()
        });
        self.everything_inside_tls(&mut config);
        config
    }

    /// REST and etcd.
    fn everything_inside_tls(&self, config: &mut AgentConfig) {
        let Some(dir) = &self.more.everything else { return };
        let (certificate, key) = (dir.join("all.pem"), dir.join("all.key"));
        config.etcd.tls = Some(EtcdTls {
            cacert: Some(certificate.clone()),
            cert: Some(certificate.clone()),
            key: Some(key.clone()),
        });
        config.restapi.tls = Some(RestapiTls {
            certfile: certificate.clone(),
            keyfile: Some(key),
            cafile: Some(certificate),
            verify_client: VerifyClient::Required,
        });
        if !self.more.calls_without {
            config.ctl = self.caller();
        }
    }

    /// What calls to REST show and trust.
    fn caller(&self) -> CtlConfig {
        let file = |name: &str| self.more.everything.as_ref().map(|dir| dir.join(name));
        let (cacert, certfile, keyfile) = (file("all.pem"), file("all.pem"), file("all.key"));
        CtlConfig { cacert, certfile, keyfile, ..CtlConfig::default() }
    }
}

/// The agent's process.
pub(crate) fn run(node: &str) -> ExitCode {
    let node: Node = serde_json::from_str(node).expect("the test wrote it");
    let config = node.config();
    if let Err(why) = daemon::prepare(&config) {
        eprintln!("{why}");
        return ExitCode::from(2);
    }
    daemon::run(config, NoSource).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// A node as the test sees it.
pub(crate) struct Member {
    pub(crate) node: Node,
    pub(crate) agent: Option<Process>,
    log: PathBuf,
    pub(crate) sql: Sql<TokioNet>,
}

impl Member {
    pub(crate) fn new(place: &Place, bin: &str, subnet: &str, number: usize) -> Self {
        let name = format!("pg{number}");
        let address = format!("{subnet}.{number}");
        let (dir, log) = (place.folder(&name), place.path().join(format!("{name}.log")));
        let etcd = format!("{subnet}.100");
        let node = Node {
            name,
            address,
            etcd,
            bin: bin.into(),
            dir,
            password: SECRET.into(),
            tls: None,
            more: More::default(),
        };
        let sql = node.sql();
        Self { node, agent: None, log, sql }
    }

    /// From now on inside TLS.
    pub(crate) fn with_tls(mut self, certificates: &Path) -> Self {
        self.node.tls = Some((certificates.to_owned(), "ca.pem".into()));
        self.sql = self.node.sql();
        self
    }

    /// From now on with everything inside TLS, by one certificate.
    pub(crate) fn with_everything(mut self, certificate: &Path) -> Self {
        self.node.more.everything = Some(certificate.to_owned());
        self.sql = self.node.sql();
        self
    }

    /// Starts its agent. Its output goes to a file.
    pub(crate) fn start(&mut self, place: &Place) {
        let mut command = place.command("real");
        command.arg("agent").arg(serde_json::to_string(&self.node).expect("it can be written"));
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.expect("it is opened");
        command.stdout(log.try_clone().expect("it is open")).stderr(log);
        self.agent = Some(Process::start(command));
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The postmaster's process id, as the data directory has it.
    pub(crate) fn postmaster(&self) -> Option<u32> {
        let text = fs::read_to_string(self.node.data_dir().join("postmaster.pid")).ok()?;
        let pid: u32 = text.lines().next()?.parse().ok()?;
        Path::new(&format!("/proc/{pid}")).exists().then_some(pid)
    }

    /// Status and body of a request to its REST API; `None`: it does not answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, String)> {
        if self.node.more.everything.is_some() {
            return self.call(&self.node.caller(), method, path, body).ok();
        }
        let mut stream = TcpStream::connect((self.node.address.as_str(), 8008)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Type: application/json");
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let status = text.split_whitespace().nth(1)?.parse().ok()?;
        Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// The same inside TLS, showing and trusting what `caller` says.
    pub(crate) fn call(
        &self,
        caller: &CtlConfig,
        method: &str,
        path: &str,
        body: &Value,
    ) -> std::io::Result<(u16, String)> {
        let client = Client::new(TokioNet, None, caller);
        let url = format!("https://{}:8008{path}", self.node.address);
        let method = method.parse().expect("a method");
        let answer = block_on(client.request(method, &url, Some(body), Duration::from_secs(60)))?;
        Ok((answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned()))
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.ask("GET", "/primary", &Value::Null).is_some_and(|(status, _)| status == 200)
    }

    /// Whether it streams as a replica.
    pub(crate) fn is_streaming(&self) -> bool {
        let Some((_, body)) = self.ask("GET", "/patroni", &Value::Null) else { return false };
        let state: Value = serde_json::from_str(&body).unwrap_or_default();
        state["role"] == "replica" && state["replication_state"] == "streaming"
    }

    /// The first column of the first row.
    pub(crate) async fn first(&self, statement: &str) -> Result<String, SqlError> {
        let rows = self.sql.query(statement).await?;
        Ok(rows.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.agent = None;
        if let Some(pid) = self.postmaster() {
            crate::machine::kill(pid, libc::SIGQUIT);
            for _ in 0..100 {
                if self.postmaster().is_none() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            crate::machine::kill(pid, libc::SIGKILL);
        }
    }
}
