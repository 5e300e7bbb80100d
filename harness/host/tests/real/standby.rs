//! A standby cluster that is made of a stopped replica's directory: it never leaves recovery, streams from the remote primary, and
//! its leader is changed as any other.

use std::{collections::BTreeMap, thread::sleep, time::Duration};

use pgdrill_agent::dcs::{Etcd, EtcdTiming, Kv};
use pgdrill_net::TokioNet;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, block_on},
    machine::Place,
    member::Member,
    remote::{Remote, SLOT},
};

/// More than two `loop_wait` of these clusters.
const SOME_CYCLES: Duration = Duration::from_secs(6);

/// The scope's keys.
fn keys(cluster: &Cluster) -> BTreeMap<String, String> {
    let config = cluster.members[0].node.config();
    let limit = Duration::from_secs(10);
    block_on(async {
        let etcd = Etcd::new(TokioNet, &config.etcd, EtcdTiming::new(limit, limit, limit, 1));
        let range = etcd.range("/service/real/").await.expect("etcd answers");
        let name = |key: String| key.trim_start_matches("/service/real/").to_owned();
        range.keys.into_iter().map(|(key, found)| (name(key), found.value)).collect()
    })
}

fn document(keys: &BTreeMap<String, String>, key: &str) -> Value {
    keys.get(key).map_or(Value::Null, |value| serde_json::from_str(value).unwrap_or_else(|_| value.as_str().into()))
}

fn patroni(member: &Member) -> Value {
    let answer = member.ask("GET", "/patroni", &Value::Null);
    answer.and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
}

fn status(member: &Member, path: &str) -> Option<u16> {
    member.ask("GET", path, &Value::Null).map(|(status, _)| status)
}

/// Whether a member leads, streams from the remote primary with its slot, and all others stream from the member.
fn leads(cluster: &Cluster, remote: &Remote, leader: usize) -> bool {
    let name = &cluster.members[leader].node.name;
    let streams = remote.standbys() == format!("{name} {SLOT}");
    let roles = cluster.members.iter().enumerate().all(|(number, member)| {
        let state = patroni(member);
        let role = if number == leader { "standby_leader" } else { "replica" };
        state["role"] == role && state["replication_state"] == "streaming" && state["timeline"] == 1
    });
    streams
        && roles
        && patroni(&cluster.members[leader])["replication"].as_array().is_some_and(|standbys| standbys.len() == 2)
}

/// Another row of the remote primary arrives everywhere, and nobody has left recovery.
fn replicates(cluster: &Cluster, remote: &Remote, number: u32) {
    remote.ask(&format!("INSERT INTO written VALUES ({number})")).expect("it writes");
    cluster.until("the row is everywhere", || {
        cluster.members.iter().all(|member| {
            let question = "SELECT format('%s %s', pg_is_in_recovery(), max(n)) FROM written";
            let found = block_on(async {
                member.sql.disconnect();
                member.first(question).await
            });
            found.is_ok_and(|found| found == format!("t {number}"))
        })
    });
}

fn switch(cluster: &Cluster, remote: &Remote, from: usize, to: usize, named: bool) {
    let name = |number: usize| cluster.members[number].node.name.clone();
    let mut order = json!({ "leader": name(from) });
    if named {
        order["candidate"] = name(to).into();
    }
    let answer = cluster.members[from].ask("POST", "/switchover", &order);
    let said = format!("Successfully switched over to \"{}\"", name(to));
    if answer.as_ref().is_none_or(|(status, text)| *status != 200 || (named && *text != said)) {
        cluster.fail(&format!("switchover: {answer:?}"));
    }
    if named {
        cluster.until("the new standby leader streams, all others from it", || leads(cluster, remote, to));
    }
    cluster.until("the request is cleared", || document(&keys(cluster), "failover") == json!({}));
}

pub(crate) fn cluster(bin: &str) {
    let mut cluster = Cluster::silent(bin, 3, follows);
    let remote = Remote::start(&cluster.place, bin, &cluster.members[0].node.more.remote.clone().expect("it is named"));
    remote.copy_to(&cluster.place, bin, &cluster.members[0]);
    cluster.start_etcd();
    cluster.start(0);
    cluster.until("pg1 is the standby leader", || status(&cluster.members[0], "/standby-leader") == Some(200));
    (1..3).for_each(|number| cluster.start(number));
    cluster.until("all stream", || leads(&cluster, &remote, 0));
    replicates(&cluster, &remote, 1);
    what_others_see(&cluster);

    switch(&cluster, &remote, 0, 1, true);
    replicates(&cluster, &remote, 2);
    let patch = json!({"synchronous_mode": true, "synchronous_mode_strict": true});
    assert_eq!(cluster.members[1].ask("PATCH", "/config", &patch).map(|(status, _)| status), Some(200));
    sleep(SOME_CYCLES);
    switch(&cluster, &remote, 1, 2, true);
    replicates(&cluster, &remote, 3);
    switch(&cluster, &remote, 2, 0, false);
    let third = (0..3).find(|number| leads(&cluster, &remote, *number));
    cluster.until("somebody else leads", || (0..2).any(|number| leads(&cluster, &remote, number)));
    let leader = third.or_else(|| (0..2).find(|number| leads(&cluster, &remote, *number))).expect("somebody leads");
    stopped_leader(&mut cluster, &remote, leader);
}

fn follows(place: &Place, mut member: Member) -> Member {
    let _ = place;
    let subnet = member.node.address.rsplit_once('.').expect("an address").0.to_owned();
    member.node.more.remote = Some(format!("{subnet}.50"));
    member
}

/// Keys and documents as Patroni has them in a standby cluster.
fn what_others_see(cluster: &Cluster) {
    let (leader, replica) = (&cluster.members[0], &cluster.members[1]);
    let expected = [
        (
            leader,
            [("/primary", 503), ("/leader", 200), ("/standby-leader", 200), ("/replica", 503), ("/read-only", 200)],
        ),
        (
            replica,
            [("/primary", 503), ("/leader", 503), ("/standby-leader", 503), ("/replica", 200), ("/read-only", 200)],
        ),
    ];
    for (member, paths) in expected {
        for (path, code) in paths {
            assert_eq!(status(member, path), Some(code), "{} {path}", member.node.name);
        }
    }
    let keys = keys(cluster);
    assert_eq!((keys["leader"].as_str(), keys.get("history"), keys.get("sync")), ("pg1", None, None));
    let (own, other, status) =
        (document(&keys, "members/pg1"), document(&keys, "members/pg2"), document(&keys, "status"));
    assert_eq!(
        (&own["role"], &own["replication_state"], &own["timeline"]),
        (&json!("standby_leader"), &json!("streaming"), &json!(1))
    );
    assert_eq!(
        (&other["role"], &other["replication_state"], &other["timeline"]),
        (&json!("replica"), &json!("streaming"), &json!(1))
    );
    assert!(status["optime"].as_u64() > Some(0) && status["slots"]["pg1"] == status["optime"], "{status}");
    let listed = cluster.members[1].ask("GET", "/cluster", &Value::Null).expect("it answers").1;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let roles: Vec<_> =
        listed["members"].as_array().expect("a list").iter().map(|member| member["role"].clone()).collect();
    assert_eq!(roles, ["standby_leader", "replica", "replica"]);
    assert!(listed["members"][1]["lag"].is_u64(), "{listed}");
}

/// A request whose leader ends before it is carried out is done with as soon as another leads.
fn stopped_leader(cluster: &mut Cluster, remote: &Remote, leader: usize) {
    let name = cluster.members[leader].node.name.clone();
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(40);
    let order = json!({"leader": name, "scheduled_at": at.to_string()});
    assert_eq!(cluster.members[leader].ask("POST", "/switchover", &order).map(|(status, _)| status), Some(202));
    let agent = cluster.members[leader].agent.as_mut().expect("it runs");
    agent.signal(libc::SIGTERM);
    assert!(agent.wait().success());
    let others: Vec<_> = (0..3).filter(|number| *number != leader).collect();
    let new = |cluster: &Cluster| {
        others.iter().copied().find(|number| status(&cluster.members[*number], "/standby-leader") == Some(200))
    };
    cluster.until("another is the standby leader", || new(cluster).is_some());
    cluster.until("the request is cleared", || document(&keys(cluster), "failover") == json!({}));
    let new = new(cluster).unwrap_or_else(|| cluster.fail("nobody leads"));
    cluster.start(leader);
    cluster.until("all stream again", || leads(cluster, remote, new));
    replicates(cluster, remote, 4);
    for number in others.into_iter().filter(|number| *number != new).chain([leader, new]) {
        let agent = cluster.members[number].agent.as_mut().expect("it runs");
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success(), "{}", cluster.members[number].log());
    }
}
