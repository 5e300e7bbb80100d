//! Too many clients, and too few descriptors: neither is a reason to let the leader lock go, or to take the data directory for
//! unusable.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    cluster::{self, Cluster, block_on},
    machine,
    member::Member,
};

/// Longer than `ttl` of these clusters: whoever lost the lock by then has lost it.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(30);

/// How long a client of a flood tries: the kernel drops its first packet when the agent lets nobody else in.
const NO_PLACE: Duration = Duration::from_millis(250);

/// A limit of open files that an agent does not reach.
const MANY: u64 = 1024;
/// Standard input, output and error are open: a process under this limit opens nothing else, and keeps what it has.
const NOTHING_NEW: u64 = 3;

fn agent(member: &Member) -> u32 {
    member.agent.as_ref().expect("it runs").id()
}

/// Resident memory of a process in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn connect(member: &Member) -> Option<TcpStream> {
    let address = format!("{}:8008", member.node.address).parse().expect("an address");
    let stream = TcpStream::connect_timeout(&address, NO_PLACE).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(20))).expect("it is open");
    Some(stream)
}

/// Whether the leader says so, and how long it takes to.
fn leads(cluster: &Cluster, leader: usize, longest: &mut Duration) {
    let asked = Instant::now();
    if !cluster.members[leader].is_primary() {
        cluster.fail("a healthy leader was not told for one");
    }
    *longest = (*longest).max(asked.elapsed());
}

/// Ends the sessions of the agent, so that it needs new ones.
fn end_sessions(member: &Member) {
    let statement = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE application_name = 'pgdrill' AND pid <> pg_backend_pid()";
    let ended = block_on(async {
        member.sql.disconnect();
        member.first(statement).await
    });
    assert_ne!(ended.as_deref(), Ok("0"), "the agent has a session");
}

pub(crate) fn flood(bin: &str) {
    let cluster = Cluster::with(bin, 2, |_, member| member);
    let leader = cluster.leader();
    let before = cluster.members[leader].postmaster();
    let pid = agent(&cluster.members[leader]);
    // As many as most systems give a service.
    limit_files(&cluster, leader, MANY);
    let (memory, mut longest) = (resident_kib(pid), Duration::ZERO);

    // Bodies of a mebibyte each, of which the last bytes never come.
    let body = vec![b' '; (1 << 20) - 5];
    let mut clients = Vec::new();
    for _ in 0..400 {
        let Some(mut client) = connect(&cluster.members[leader]) else { continue };
        let head = b"POST /mpp HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n";
        // Whoever is refused may be closed in the middle of it.
        let _ = client.write_all(head).and_then(|()| client.write_all(&body));
        clients.push(client);
    }
    let flooded = resident_kib(pid);
    leads(&cluster, leader, &mut longest);
    drop(clients);
    eprintln!("400 bodies of 1 MiB: the agent's memory went from {memory} to {flooded} KiB");
    assert!(flooded < memory + 32 * 1024, "from {memory} to {flooded} KiB");

    // A header line a second, for ever.
    let mut clients: Vec<_> = (0..1005).filter_map(|_| connect(&cluster.members[leader])).collect();
    for client in &mut clients {
        let _ = client.write_all(b"GET /patroni HTTP/1.1\r\nHost: x\r\n");
    }
    let began = Instant::now();
    while began.elapsed() < LONGER_THAN_A_LEASE {
        let mut again = 0;
        for client in &mut clients {
            // Those that were let go come again, as many as a second allows.
            if client.write_all(b"X-Slow: y\r\n").is_err()
                && again < 100
                && let Some(mut new) = connect(&cluster.members[leader])
            {
                again += 1;
                let _ = new.write_all(b"GET /patroni HTTP/1.1\r\nHost: x\r\n");
                *client = new;
            }
        }
        leads(&cluster, leader, &mut longest);
        sleep(Duration::from_secs(1));
        if began.elapsed() < Duration::from_secs(3) {
            end_sessions(&cluster.members[leader]);
        }
    }
    eprintln!("1005 slow clients: a check of the leader took {} ms at most", longest.as_millis());
    let slow = resident_kib(pid);
    assert!(slow < memory + 32 * 1024, "from {memory} to {slow} KiB");
    drop(clients);
    assert_eq!(cluster.members[leader].postmaster(), before, "PostgreSQL was let alone");
    let log = cluster.members[leader].log();
    assert!(!log.contains("releasing the leader lock") && !log.contains("Too many open files"), "{log}");
    cluster.until("all is as before", || cluster.is_whole());
    cluster::shut_down(cluster, leader);
}

/// Sets how many files a member's agent may have open: those below this number. As the agent's own user, who may.
fn limit_files(cluster: &Cluster, number: usize, most: u64) {
    let pid = agent(&cluster.members[number]).to_string();
    let done = cluster.place.command("prlimit").args(["--pid", &pid]).arg(format!("--nofile={most}:")).output();
    let done = done.expect("util-linux is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Nobody can ask an agent that has no descriptor for a connection: the other member is asked.
fn leader_by(member: &Member) -> Option<String> {
    let (_, body) = member.ask("GET", "/cluster", &Value::Null)?;
    let cluster: Value = serde_json::from_str(&body).ok()?;
    let leader = cluster["members"].as_array()?.iter().find(|member| member["role"] == "leader")?;
    leader["name"].as_str().map(str::to_owned)
}

pub(crate) fn no_descriptors(bin: &str) {
    let cluster = Cluster::with(bin, 2, |_, member| member);
    let leader = cluster.leader();
    let (member, other) = (&cluster.members[leader], &cluster.members[1 - leader]);
    let before = member.postmaster().expect("it runs");
    limit_files(&cluster, leader, NOTHING_NEW);
    end_sessions(member);
    let began = Instant::now();
    while began.elapsed() < LONGER_THAN_A_LEASE {
        assert_eq!(leader_by(other).as_deref(), Some(member.node.name.as_str()), "{}", member.log());
        assert!(member.postmaster() == Some(before) && !other.is_primary(), "{}", member.log());
        sleep(Duration::from_secs(1));
    }
    let log = member.log();
    assert!(log.contains("Too many open files") && log.contains("nothing is concluded from that"), "{log}");
    assert!(!log.contains("releasing the leader lock"), "{log}");

    // What it cannot start for want of descriptors it starts when it has them, as the primary that it was.
    machine::kill(before, libc::SIGKILL);
    sleep(Duration::from_secs(8));
    assert_eq!(leader_by(other).as_deref(), Some(member.node.name.as_str()), "{}", member.log());
    limit_files(&cluster, leader, MANY);
    cluster.until("the leader leads again", || member.is_primary());
    assert!(!member.log().contains("releasing the leader lock"), "{}", member.log());
    cluster.until("all is as before", || cluster.is_whole());
    cluster::shut_down(cluster, leader);
}
