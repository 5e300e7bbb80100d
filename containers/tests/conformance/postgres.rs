//! Real PostgreSQL servers, all of a body in one container on ports of their own.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use pgdrill_containers::paths::bin_dir;
use pgdrill_lab::scenario::PostgresqlMajor;
use pgdrill_sim_postgres::conformance::{
    durability,
    operations::{Operations, Stop},
    session::{Ending, Session},
    sql, streaming, synchronous, timelines,
};
use tokio::net::TcpStream;

use super::{
    lab::{Container, Lab},
    trial,
};

/// Where data directories lie: in memory.
const DATA: &str = "/var/lib/postgresql/data";

/// Servers in a container.
struct Real {
    major: PostgresqlMajor,
    container: Container,
}

/// Every body of the suite.
pub fn trials(lab: &Option<Arc<Lab>>) -> Vec<Trial> {
    let mut trials = Vec::new();
    macro_rules! on_real_postgresql {
        ($($body:path as $name:ident, $nodes:literal;)*) => { $(
            let name = concat!("postgresql::", stringify!($name)).to_owned();
            trials.push(trial(name, lab, |lab| async move {
                $body(&Real::start(&lab).await).await;
            }));
        )* };
    }
    pgdrill_sim_postgres::for_each_conformance_body!(on_real_postgresql);
    trials
}

/// A value of `postgresql.conf`.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

impl Real {
    async fn start(lab: &Lab) -> Self {
        let mut container = lab.container("node", DATA).await;
        container.script(&format!("chown postgres:postgres {DATA}")).await;
        container.user = Some("postgres");
        container.programs = Some(bin_dir(lab.postgresql));
        Self { major: lab.postgresql, container }
    }

    const fn port(node: usize) -> usize {
        5432 + node
    }

    fn dir(node: usize) -> String {
        format!("{DATA}/n{node}")
    }

    fn conninfo(node: usize, name: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres application_name={name}", Self::port(node))
    }

    /// What is a server's own, put back after files of another server were copied over it.
    async fn own(&self, node: usize) {
        self.configure(node, &[("port", &Self::port(node).to_string())]).await;
    }

    async fn ctl(&self, node: usize, words: &str) {
        self.container.script(&format!("pg_ctl -D {} {words}", Self::dir(node))).await;
    }

    async fn log(&self, node: usize) -> String {
        self.container.script(&format!("tail -30 {}.log", Self::dir(node))).await
    }
}

impl Operations for Real {
    fn major(&self) -> u16 {
        self.major.number()
    }

    async fn initdb(&self, node: usize) {
        let dir = Self::dir(node);
        let initdb = format!("initdb -D {dir} --no-sync --locale=C.UTF-8 --auth=trust --data-checksums -U postgres");
        let hba = "printf 'host all all all trust\\nhost replication all all trust\\n'";
        self.container.script(&format!("{initdb} && {hba} >> {dir}/pg_hba.conf")).await;
        self.configure(node, &[("listen_addresses", "*"), ("unix_socket_directories", "/tmp")]).await;
        self.own(node).await;
    }

    async fn launch(&self, node: usize) {
        self.ctl(node, &format!("-l {}.log -W start", Self::dir(node))).await;
    }

    async fn start(&self, node: usize) {
        self.launch(node).await;
        for _ in 0..600 {
            if self.connect(node).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("node {node} does not accept connections: {}", self.log(node).await);
    }

    async fn stop(&self, node: usize, how: Stop) {
        match how {
            Stop::Smart => self.ctl(node, "-m smart -t 60 stop").await,
            Stop::Fast => self.ctl(node, "-m fast -t 60 stop").await,
            Stop::Immediate => self.ctl(node, "-m immediate -t 60 stop").await,
            Stop::Kill => {
                // Halted first, so that the list of its children is whole; one of them may end by itself meanwhile.
                let script = format!(
                    "main=$(head -1 {}/postmaster.pid); kill -STOP $main; children=$(pgrep -P $main || true); \
                     kill -9 $main; for pid in $children; do kill -9 $pid 2>/dev/null || true; done; \
                     for pid in $main $children; do while kill -0 $pid 2>/dev/null; do sleep 0.02; done; done",
                    Self::dir(node)
                );
                self.container.script(&script).await;
            }
        }
    }

    async fn reload(&self, node: usize) {
        self.ctl(node, "reload").await;
    }

    async fn promote(&self, node: usize) {
        self.ctl(node, "-W promote").await;
    }

    async fn configure(&self, node: usize, values: &[(&str, &str)]) {
        let lines: Vec<_> = values.iter().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
        let file = format!("{}/postgresql.conf", Self::dir(node));
        self.container.script(&format!("cat >> {file} <<'END'\n{}\nEND", lines.join("\n"))).await;
    }

    async fn controldata(&self, node: usize, label: &str) -> String {
        let text = self.container.script(&format!("pg_controldata {}", Self::dir(node))).await;
        let found = text.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| *name == label);
        found.unwrap_or_else(|| panic!("no {label} in {text}")).1.trim().to_owned()
    }

    async fn basebackup(&self, from: usize, to: usize) -> Result<(), String> {
        let (source, dir) = (Self::conninfo(from, "pg_basebackup"), Self::dir(to));
        let argv = ["pg_basebackup", "-d", &source, "-D", &dir, "-X", "stream", "-c", "fast", "--no-sync"];
        let done = self.container.run(&argv).await;
        if done.code != 0 {
            return Err(done.stderr);
        }
        self.own(to).await;
        Ok(())
    }

    async fn rewind(&self, from: usize, target: usize) -> Result<bool, String> {
        let (source, dir) = (Self::conninfo(from, "pg_rewind"), Self::dir(target));
        let argv = ["pg_rewind", "-D", &dir, "--source-server", &source, "--no-ensure-shutdown", "--no-sync"];
        let done = self.container.run(&argv).await;
        if done.code != 0 {
            return Err(done.stderr);
        }
        self.own(target).await;
        Ok(!format!("{}{}", done.stdout, done.stderr).contains("no rewind required"))
    }

    async fn follow(&self, node: usize, primary: usize, slot: &str) {
        let conninfo = Self::conninfo(primary, &format!("n{node}"));
        let values = [
            ("primary_conninfo", conninfo.as_str()),
            ("primary_slot_name", slot),
            ("wal_retrieve_retry_interval", "200ms"),
        ];
        self.configure(node, &values).await;
        self.container.script(&format!("touch {}/standby.signal", Self::dir(node))).await;
    }

    async fn fill_disk(&self, _node: usize, full: bool) {
        // All that is free goes into one file; `dd` ends with an error, as it should.
        let fill = "! dd if=/dev/zero of=FILE bs=8k 2>/dev/null";
        let script = if full { fill } else { "rm FILE" };
        self.container.script(&script.replace("FILE", &format!("{DATA}/filled"))).await;
    }

    async fn open(&self, node: usize) -> Result<Session, Ending> {
        let address = (self.container.address, u16::try_from(Self::port(node)).expect("a port"));
        let stream = TcpStream::connect(address).await;
        Session::log_in(stream.map_err(|error| Ending::from(&error))?).await
    }
}
