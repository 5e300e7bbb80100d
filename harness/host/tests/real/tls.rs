//! Two members whose PostgreSQL lets nobody in without TLS and a certificate.

use crate::{
    cluster::{Cluster, block_on, no_secrets, shut_down},
    machine,
    member::Member,
};

/// Who is connected, how, and with what certificate.
const CONNECTED: &str = "SELECT string_agg(DISTINCT format('%s %s %s %s', usename, backend_type, ssl, client_dn), ', ') \
    FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE backend_type IN ('client backend', 'walsender')";

fn ask(member: &Member, statement: &str) -> String {
    block_on(async {
        member.sql.disconnect();
        member.first(statement).await.expect("it answers")
    })
}

pub(crate) fn cluster(bin: &str) {
    another_authority_for_a_new_cluster(bin);
    let mut cluster = Cluster::with(bin, 2, |place, member| member.with_tls(&place.certificates()));
    let first = cluster.leader();
    let all = "postgres client backend t /CN=client, replicator walsender t /CN=client";
    assert_eq!(ask(&cluster.members[first], CONNECTED), all);
    assert_eq!(ask(&cluster.members[1 - first], CONNECTED), "postgres client backend t /CN=client");
    no_secrets(&cluster);
    rewound(&mut cluster, first);
    cluster = another_authority_for_copies(cluster, bin);
    another_authority(cluster);
}

/// A member that trusts another authority than its own server's makes no cluster, and does not wait for what cannot come.
fn another_authority_for_a_new_cluster(bin: &str) {
    let mut cluster = Cluster::begin(bin, 1, |place, member| {
        let mut member = member.with_tls(&place.certificates());
        member.node.tls.as_mut().expect("it has them").1 = "client.pem".into();
        member
    });
    let member = &mut cluster.members[0];
    let (code, log) = (member.agent.as_mut().expect("it was started").wait().code(), member.log());
    let said = "the agent ends: the bootstrap failed: TLS with ";
    assert!(code == Some(1) && log.contains(said) && log.contains("no authority in sslrootcert ("), "{code:?} {log}");
    assert_eq!(member.postmaster(), None);
}

/// The old primary compares with the new one, and is rewound from it: its crash recovery alone writes what the new one has not.
fn rewound(cluster: &mut Cluster, old: usize) {
    let postmaster = cluster.members[old].postmaster().expect("it runs");
    cluster.members[old].agent.as_ref().expect("it runs").signal(libc::SIGKILL);
    machine::kill(postmaster, libc::SIGKILL);
    cluster.members[old].agent = None;
    cluster.until("the other member leads", || cluster.members[1 - old].is_primary());
    let Cluster { members, place, .. } = cluster;
    members[old].start(place);
    cluster.until("the old primary streams again", || cluster.is_whole());
    assert!(cluster.members[old].log().contains("running pg_rewind from"), "{}", cluster.members[old].log());
}

/// A member that trusts another authority copies nothing.
fn another_authority_for_copies(cluster: Cluster, bin: &str) -> Cluster {
    let subnet = cluster.members[0].node.address.trim_end_matches(".1").to_owned();
    let mut third = Member::new(&cluster.place, bin, &subnet, 3).with_tls(&cluster.place.certificates());
    third.node.tls.as_mut().expect("it has them").1 = "client.pem".into();
    third.start(&cluster.place);
    cluster.until("pg_basebackup says why", || third.log().contains("certificate verify failed"));
    assert!(third.postmaster().is_none());
    third.agent.as_ref().expect("it runs").signal(libc::SIGTERM);
    assert!(third.agent.as_mut().expect("it runs").wait().success(), "{}", third.log());
    cluster
}

/// An agent that trusts another authority does not take over the server that runs, and says why.
fn another_authority(mut cluster: Cluster) {
    let leader = cluster.leader();
    let before = cluster.members[leader].postmaster().expect("it runs");
    let Cluster { members, place, .. } = &mut cluster;
    let member = &mut members[leader];
    member.agent.as_ref().expect("it runs").signal(libc::SIGKILL);
    member.agent = None;
    member.node.tls.as_mut().expect("it has them").1 = "client.pem".into();
    member.start(place);
    let code = member.agent.as_mut().expect("it was started").wait().code();
    let log = member.log();
    assert!(code == Some(1) && log.contains("no authority in sslrootcert ("), "{code:?} {log}");
    assert_eq!(member.postmaster(), Some(before), "it goes on");
    member.node.tls.as_mut().expect("it has them").1 = "ca.pem".into();
    member.start(place);
    cluster.until("it leads again", || cluster.is_whole());
    let leader = cluster.leader();
    shut_down(cluster, leader);
}
