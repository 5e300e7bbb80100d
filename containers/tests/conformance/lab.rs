//! Containers for one run of the suites, and commands in them.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU8, Ordering},
};

use pgdrill_containers::docker::{
    self, Command, Docker, Mounted, Output, Owner, Plan, Subnet, create_network, create_volume, remove_run,
    start_container, sweep,
};
use pgdrill_lab::scenario::PostgresqlMajor;

/// What one process needs in common: a network, labels, addresses.
pub struct Lab {
    run: String,
    subnet: Subnet,
    next: AtomicU8,
    /// Which PostgreSQL the bodies are played on.
    pub postgresql: PostgresqlMajor,
}

/// Names another major version of PostgreSQL than the default.
const POSTGRESQL: &str = "PGDRILL_POSTGRESQL";

/// The major version that is asked for.
fn postgresql() -> Result<PostgresqlMajor, String> {
    match std::env::var(POSTGRESQL) {
        Ok(text) => text.parse().map_err(|why| format!("{POSTGRESQL}={text}: {why}")),
        Err(_) => Ok(PostgresqlMajor::default()),
    }
}

impl Lab {
    /// Sweeps what a killed process left behind, and makes the network.
    pub async fn open() -> Result<Self, String> {
        let postgresql = postgresql()?;
        let docker = docker::connect().await.map_err(|e| e.to_string())?;
        for why in sweep(&docker).await?.failed {
            eprintln!("leftovers of a killed run could not be removed: {why}");
        }
        let run = format!("pgdrill-conformance-{}", std::process::id());
        let labels = Owner::this_process().map_err(|e| e.to_string())?.labels(&run);
        let subnet = create_network(&docker, &run, &labels, std::process::id()).await.map_err(|e| e.to_string())?;
        Ok(Self { run, subnet, next: AtomicU8::new(10), postgresql })
    }

    /// Removes everything.
    pub async fn close(&self) -> Result<(), String> {
        remove_run(&docker::connect().await.map_err(|e| e.to_string())?, &self.run).await
    }

    /// A container of an image, with a file system in memory at `data`.
    pub async fn container(&self, image: &str, data: &str) -> Container {
        // A client of its own: its connections belong to the runtime of the test.
        let docker = docker::connect().await.expect("it answered before");
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let address = self.subnet.address(number);
        let run = format!("{}-{number}", self.run);
        let labels = Owner::this_process().expect("there is a /proc").labels(&run);
        create_volume(&docker, &run, &labels, Some(768 << 20)).await.expect("a volume in memory");
        let plan = Plan {
            name: run.clone(),
            hostname: "real".to_owned(),
            image: format!("pgdrill/{image}:latest"),
            network: self.run.clone(),
            address,
            volumes: vec![Mounted::new(&run, data)],
            labels,
            programs: vec![],
        };
        let id = start_container(&docker, &plan).await.unwrap_or_else(|trouble| panic!("{trouble}"));
        Container { docker, id, address, run, user: None, programs: None }
    }
}

/// A running container, gone when it is dropped.
pub struct Container {
    docker: Docker,
    id: String,
    /// Where its servers listen.
    pub address: Ipv4Addr,
    run: String,
    /// Who runs its commands, if not root.
    pub user: Option<&'static str>,
    /// A folder whose programs are taken before all others.
    pub programs: Option<String>,
}

impl Container {
    /// Runs a command to its end.
    pub async fn run(&self, argv: &[&str]) -> Output {
        let mut command = Command::new(argv.iter().copied());
        if let Some(user) = self.user {
            command = command.user(user);
        }
        if let Some(programs) = &self.programs {
            command = command
                .env("PATH", &format!("{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
        }
        command.run(&self.docker, &self.id).await.unwrap_or_else(|why| panic!("{argv:?}: {why}"))
    }

    /// Runs a shell script that must succeed; what it wrote.
    pub async fn script(&self, script: &str) -> String {
        let done = self.run(&["sh", "-ec", script]).await;
        assert_eq!(done.code, 0, "{script}: {}{}", done.stdout, done.stderr);
        done.stdout
    }

    /// Starts a shell script and leaves it running.
    pub async fn start(&self, script: &str) {
        let command = Command::new(["sh", "-ec", script]);
        command.start(&self.docker, &self.id).await.unwrap_or_else(|why| panic!("{script}: {why}"));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Dropped inside a runtime that may be at its end, perhaps while a test panics: on a thread of its own.
        let run = self.run.clone();
        let removal = std::thread::spawn(move || {
            super::on_a_runtime(async {
                let docker = docker::connect().await.map_err(|e| e.to_string())?;
                remove_run(&docker, &run).await
            })
        });
        if !matches!(removal.join(), Ok(Ok(()))) {
            eprintln!("the container of {} could not be removed", self.run);
        }
    }
}
