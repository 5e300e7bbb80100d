//! Three members on loopback addresses, with one etcd.

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    machine::{self, Place, Process},
    member::{Member, SECRET},
    traffic::{self, Traffic},
};

/// For a machine that does much else at the same time.
const PATIENCE: Duration = Duration::from_secs(180);

/// `ttl` of these clusters.
const LEASE: Duration = Duration::from_secs(20);

pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    etcd: Option<Process>,
    pub(crate) place: Place,
}

impl Cluster {
    /// A cluster that runs.
    fn new(bin: &str, size: usize) -> Self {
        Self::with(bin, size, |_, member| member)
    }

    /// With members as `change` makes them.
    pub(crate) fn with(bin: &str, size: usize, change: fn(&Place, Member) -> Member) -> Self {
        let now = Instant::now();
        let cluster = Self::begin(bin, size, change);
        cluster.until("one leader, all others stream", || cluster.is_whole());
        eprintln!("{size} members: whole after {:.1} s", now.elapsed().as_secs_f64());
        cluster
    }

    /// With members as `change` makes them, which have only just been started.
    pub(crate) fn begin(bin: &str, size: usize, change: fn(&Place, Member) -> Member) -> Self {
        let mut cluster = Self::silent(bin, size, change);
        cluster.start_etcd();
        let Self { members, place, .. } = &mut cluster;
        members.iter_mut().for_each(|member| member.start(place));
        cluster
    }

    /// One of which nothing runs yet, not even etcd.
    pub(crate) fn silent(bin: &str, size: usize, change: fn(&Place, Member) -> Member) -> Self {
        let (place, subnet) = (Place::new(), machine::subnet());
        let member = |number| change(&place, Member::new(&place, bin, &subnet, number));
        let members = (1..=size).map(member).collect();
        Self { members, etcd: None, place }
    }

    pub(crate) fn start_etcd(&mut self) {
        let host = &self.members[0].node.etcd;
        let mut etcd = self.place.command("etcd");
        let everything = self.members[0].node.more.everything.as_ref();
        let scheme = if everything.is_some() { "https" } else { "http" };
        let (client, peer) = (format!("{scheme}://{host}:2379"), format!("http://{host}:2380"));
        etcd.arg("--data-dir").arg(self.place.folder("etcd")).args(["--name", "e", "--log-level", "error"]);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("e={peer}")]);
        if let Some(dir) = everything {
            etcd.arg("--cert-file").arg(dir.join("all.pem")).arg("--key-file").arg(dir.join("all.key"));
            etcd.arg("--client-cert-auth").arg("--trusted-ca-file").arg(dir.join("all.pem"));
        }
        self.etcd = Some(Process::start(etcd));
    }

    /// Starts one member's agent.
    pub(crate) fn start(&mut self, number: usize) {
        let Self { members, place, .. } = self;
        members[number].start(place);
    }

    pub(crate) fn is_whole(&self) -> bool {
        let primaries = self.members.iter().filter(|member| member.is_primary()).count();
        let replicas = self.members.iter().filter(|member| member.is_streaming()).count();
        primaries == 1 && replicas + 1 == self.members.len()
    }

    pub(crate) fn leader(&self) -> usize {
        self.members.iter().position(Member::is_primary).unwrap_or_else(|| self.fail("nobody leads"))
    }

    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            if began.elapsed() > PATIENCE {
                self.fail(&format!("not within {PATIENCE:?}: {what}"));
            }
            sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn fail(&self, what: &str) -> ! {
        for member in &self.members {
            let log = member.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("--- {} ---\n{}", member.node.name, lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        panic!("{what}");
    }

    fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|member| member.node.address.clone()).collect()
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

pub(crate) fn failover(bin: &str) {
    let mut cluster = Cluster::new(bin, 3);
    let first = cluster.leader();
    let sql = |member: &Member, statement: &str| {
        block_on(async {
            member.sql.disconnect();
            member.first(statement).await
        })
    };
    sql(&cluster.members[first], "CREATE TABLE written (n int8)").expect("it is created");
    let slots = sql(&cluster.members[first], "SELECT count(*) FROM pg_replication_slots WHERE active");
    assert_eq!(slots.as_deref(), Ok("2"), "both replicas stream from slots of their own");
    let local = "SELECT string_agg((client_addr IS NULL)::text, ' ') FROM pg_stat_activity \
                 WHERE application_name = 'pgdrill' AND pid <> pg_backend_pid()";
    assert_eq!(sql(&cluster.members[1], local).as_deref(), Ok("true"), "pg2's agent connects through the socket");
    no_secrets(&cluster);

    let client = Traffic::start(&cluster.addresses());
    sleep(Duration::from_secs(2));
    let postmaster = cluster.members[first].postmaster().expect("it runs");
    cluster.members[first].agent.as_ref().expect("it runs").signal(libc::SIGKILL);
    machine::kill(postmaster, libc::SIGKILL);
    cluster.members[first].agent = None;
    cluster.until("another member leads", || {
        cluster.members.iter().enumerate().any(|(number, member)| number != first && member.is_primary())
    });
    let second = cluster.leader();
    sleep(Duration::from_secs(4));
    let acknowledged = client.stop();
    eprintln!("failover: no write for {:.1} s", traffic::outage(&acknowledged).as_secs_f64());
    all_there(&cluster, second, &acknowledged, true);

    let Cluster { members, place, .. } = &mut cluster;
    members[first].start(place);
    cluster.until("the old primary streams again", || cluster.is_whole());
    switchover(&cluster, second, first);
    shut_down(cluster, first);
}

fn switchover(cluster: &Cluster, from: usize, to: usize) {
    let client = Traffic::start(&cluster.addresses());
    sleep(Duration::from_secs(2));
    let order = json!({"leader": cluster.members[from].node.name, "candidate": cluster.members[to].node.name});
    let answer = cluster.members[from].ask("POST", "/switchover", &order);
    if answer.as_ref().is_none_or(|(status, _)| *status != 200) {
        cluster.fail(&format!("switchover: {answer:?}"));
    }
    cluster.until("all stream from the new leader", || cluster.members[to].is_primary() && cluster.is_whole());
    sleep(Duration::from_secs(2));
    let acknowledged = client.stop();
    eprintln!("switchover: no write for {:.1} s", traffic::outage(&acknowledged).as_secs_f64());
    all_there(cluster, to, &acknowledged, false);
}

/// Every acknowledged write is there. After a crash the last ones may be missing: replication is asynchronous.
fn all_there(cluster: &Cluster, leader: usize, acknowledged: &[(i64, Instant)], crashed: bool) {
    let member = &cluster.members[leader];
    let numbers: Vec<_> = acknowledged.iter().map(|(number, _)| format!("({number})")).collect();
    let statement =
        format!("SELECT count(*) FROM (VALUES {}) sent (n) WHERE n NOT IN (SELECT n FROM written)", numbers.join(","));
    let missing = block_on(async {
        member.sql.disconnect();
        member.first(&statement).await
    });
    let missing: usize = missing.expect("it answers").parse().expect("a number");
    assert!(missing <= if crashed { 3 } else { 0 }, "{missing} of {} acknowledged writes are gone", numbers.len());
}

/// Passwords are in the password files alone.
pub(crate) fn no_secrets(cluster: &Cluster) {
    for member in &cluster.members {
        let conf = std::fs::read_to_string(member.node.data_dir().join("postgresql.conf")).expect("it is there");
        for text in [&conf, &member.log()] {
            assert!(!text.contains(SECRET) && !text.contains("rep:l"), "{text}");
        }
        let processes = Command::new("ps").args(["-eo", "args"]).output().expect("it runs").stdout;
        let processes = String::from_utf8_lossy(&processes).into_owned();
        let lines = processes.lines().filter(|line| line.contains("pg") && !line.contains(" agent {"));
        assert!(lines.filter(|line| line.contains("rep:l")).count() == 0, "{processes}");
    }
}

/// SIGTERM to every agent, the leader's last: PostgreSQL ends with them, cleanly.
pub(crate) fn shut_down(mut cluster: Cluster, leader: usize) {
    for last in [false, true] {
        for (number, member) in cluster.members.iter_mut().enumerate() {
            if (number == leader) == last {
                let agent = member.agent.as_mut().expect("it runs");
                agent.signal(libc::SIGTERM);
                assert!(agent.wait().success(), "{}", member.log());
                assert_eq!(member.postmaster(), None);
            }
        }
    }
}

pub(crate) fn restart_of_the_agent(bin: &str) {
    let mut cluster = Cluster::new(bin, 1);
    let before = cluster.members[0].postmaster().expect("it runs");
    cluster.members[0].agent.as_ref().expect("it runs").signal(libc::SIGKILL);
    cluster.members[0].agent = None;
    sleep(Duration::from_secs(1));
    assert_eq!(cluster.members[0].postmaster(), Some(before), "PostgreSQL goes on without its agent");
    let Cluster { members, place, .. } = &mut cluster;
    members[0].start(place);
    cluster.until("it leads again", || cluster.members[0].is_primary());
    assert_eq!(cluster.members[0].postmaster(), Some(before), "the new agent has found it");
    assert!(cluster.members[0].log().contains("started beside a running PostgreSQL"));
    sleep(LEASE);
    assert_eq!(cluster.members[0].postmaster(), Some(before), "the deadline of the agent before it is void");
    cluster.members[0].agent.as_ref().expect("it runs").signal(libc::SIGHUP);
    sleep(Duration::from_secs(1));
    assert!(cluster.members[0].agent.as_mut().expect("it runs").is_running(), "SIGHUP is no end");
    shut_down(cluster, 0);
}

/// What does not fit to a cluster that runs: an agent with a wrong password, with another member's name, on another cluster's
/// data or on another version's. Each ends with the reason, and neither the cluster nor any data is touched.
pub(crate) fn strangers(bin: &str) {
    let mut cluster = Cluster::new(bin, 1);
    let before = cluster.members[0].postmaster().expect("it runs");
    let subnet = cluster.members[0].node.address.trim_end_matches(".1").to_owned();
    let ends = |place: &Place, member: &mut Member| {
        member.start(place);
        let code = member.agent.as_mut().expect("it was started").wait().code();
        (code, member.log())
    };

    let mut namesake = Member::new(&cluster.place, bin, &subnet, 2);
    namesake.node.name = "pg1".into();
    let (code, log) = ends(&cluster.place, &mut namesake);
    let url = format!("http://{subnet}.1:8008/patroni");
    assert!(code == Some(1) && log.contains("already a node named pg1 running in real"), "{code:?} {log}");
    assert!(log.contains(&url) && !namesake.node.data_dir().exists(), "{log}");

    let mut foreign = Member::new(&cluster.place, bin, &subnet, 3);
    let initdb = cluster.place.command(&format!("{bin}/initdb")).arg("-D").arg(foreign.node.data_dir()).output();
    assert!(initdb.expect("it runs").status.success());
    let (code, log) = ends(&cluster.place, &mut foreign);
    assert!(
        code == Some(1) && log.contains("(/initialize) is") && log.contains("postgresql.data_dir"),
        "{code:?} {log}"
    );
    assert!(!foreign.node.data_dir().join("postmaster.pid").exists() && foreign.postmaster().is_none());
    std::fs::write(foreign.node.data_dir().join("PG_VERSION"), "15\n").expect("it is written");
    let (code, log) = ends(&cluster.place, &mut foreign);
    assert!(code == Some(2) && log.contains("was made by PostgreSQL 15"), "{code:?} {log}");

    let Cluster { members, place, .. } = &mut cluster;
    members[0].agent.as_ref().expect("it runs").signal(libc::SIGKILL);
    members[0].agent = None;
    members[0].node.password = "guessed".into();
    let (code, log) = ends(place, &mut members[0]);
    assert!(
        code == Some(1) && log.contains("postgresql.authentication.superuser must name a superuser"),
        "{code:?} {log}"
    );
    assert_eq!(members[0].postmaster(), Some(before), "it goes on");
    members[0].node.password = SECRET.into();
    members[0].start(place);
    cluster.until("it leads again", || cluster.members[0].is_primary());
    assert_eq!(cluster.members[0].postmaster(), Some(before));
    shut_down(cluster, 0);
}

/// SIGSTOP to the leader's agent and nothing else: the dead-man process must act before anybody else leads.
pub(crate) fn frozen_agent(bin: &str) {
    let cluster = Cluster::new(bin, 2);
    let old = cluster.leader();
    let before = cluster.members[old].postmaster().expect("it runs");
    // Its lease is renewed more than once: a healthy agent's server is left alone.
    sleep(LEASE);
    assert_eq!(cluster.members[old].postmaster(), Some(before), "nothing was wrong");
    let began = Instant::now();
    cluster.members[old].agent.as_ref().expect("it runs").signal(libc::SIGSTOP);
    cluster.until("the dead-man stops the server", || cluster.members[old].postmaster() != Some(before));
    let stopped = began.elapsed();
    eprintln!("frozen agent: its server was stopped after {:.1} s", stopped.as_secs_f64());
    assert!(stopped < LEASE + Duration::from_secs(5), "too late: {stopped:?}");
    assert!(!cluster.members[1 - old].is_primary(), "another leads already");
    cluster.until("the other member leads", || cluster.members[1 - old].is_primary());
    cluster.members[old].agent.as_ref().expect("it runs").signal(libc::SIGCONT);
    cluster.until("the old primary streams again", || cluster.is_whole());
    shut_down(cluster, 1 - old);
}

pub(crate) fn refusals(bin: &str) {
    let (place, subnet) = (Place::new(), machine::subnet());
    let refused = |change: fn(&mut Member)| {
        let mut member = Member::new(&place, bin, &subnet, 9);
        change(&mut member);
        member.start(&place);
        let status = member.agent.as_mut().expect("it was started").wait();
        (status.code(), member.log())
    };
    let (code, log) = refused(|member| member.node.bin = "/nowhere".into());
    assert!(code == Some(2) && log.contains("/nowhere/pg_rewind is not there"), "{code:?} {log}");
    let (code, log) = refused(|member| member.node.dir = "/nowhere".into());
    assert!(code == Some(2) && log.contains("postgresql.data_dir: /nowhere/pg does not exist"), "{code:?} {log}");
    let _taken = std::net::TcpListener::bind((format!("{subnet}.9"), 8008)).expect("it is free");
    let (code, log) = refused(|_| {});
    assert!(code == Some(1) && log.contains("restapi.listen: 127.") && log.contains("in use"), "{code:?} {log}");
    if place.is_root() {
        let member = Member::new(&place, bin, &subnet, 9);
        let node = serde_json::to_string(&member.node).expect("it can be written");
        let output = Command::new(place.path().join("real")).args(["agent", &node]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains("runs as root") && said.contains("setpriv"), "{said}");
    }
}
