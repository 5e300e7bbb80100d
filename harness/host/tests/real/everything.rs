//! One certificate that is its own authority (`openssl req -x509 -nodes -new -addext subjectAltName=...`) for everything: REST with
//! `verify_client: required`, etcd with client certificates, PostgreSQL with `clientcert=verify-ca`, servers and clients.

use pgdrill_agent::config::CtlConfig;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, block_on, shut_down},
    member::Member,
};

pub(crate) fn cluster(bin: &str) {
    let cluster = Cluster::with(bin, 2, |place, member| {
        let subnet = member.node.address.rsplit_once('.').expect("an address").0.to_owned();
        // Of both members, of a third one, and of etcd; made once.
        let made = place.path().join("everything");
        let addresses = [1, 2, 3, 100].map(|number| format!("{subnet}.{number}"));
        let dir = if made.exists() { made } else { place.certificate_for_everything(&addresses) };
        member.with_everything(&dir)
    });
    let leader = cluster.leader();
    let order =
        json!({"leader": cluster.members[leader].node.name, "candidate": cluster.members[1 - leader].node.name});
    let answer = cluster.members[leader].ask("POST", "/switchover", &order);
    assert!(answer.as_ref().is_some_and(|(status, _)| *status == 200), "{answer:?}");
    cluster.until("the other one leads", || cluster.members[1 - leader].is_primary() && cluster.is_whole());
    let leader = 1 - leader;
    let inside =
        "SELECT string_agg(DISTINCT client_dn, ' ') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl";
    let dn = block_on(async {
        cluster.members[leader].sql.disconnect();
        cluster.members[leader].first(inside).await
    });
    assert_eq!(dn.as_deref(), Ok("/CN=a"));
    strangers(&cluster, leader);
    namesakes(&cluster, bin, leader);
    shut_down(cluster, leader);
}

/// A caller without a certificate, and one with another authority's, are told from each other in the log, with the file.
fn strangers(cluster: &Cluster, leader: usize) {
    let member = &cluster.members[leader];
    let dir = member.node.more.everything.clone().expect("it has one");
    let caller = CtlConfig { cacert: Some(dir.join("all.pem")), ..CtlConfig::default() };
    let refused = member.call(&caller, "GET", "/patroni", &Value::Null).expect_err("it shows none").to_string();
    assert!(refused.contains(&member.node.address) && refused.contains("ctl.certfile"), "{refused}");
    let other = cluster.place.certificates();
    let (certfile, keyfile) = (Some(other.join("self.pem")), Some(other.join("self.key")));
    let caller = CtlConfig { certfile, keyfile, ..caller };
    let refused = member.call(&caller, "GET", "/patroni", &Value::Null).expect_err("it is unknown").to_string();
    assert!(refused.contains("self.pem") && refused.contains("does not accept our certificate"), "{refused}");
    let untrusting = CtlConfig { cacert: Some(other.join("ca.pem")), ..CtlConfig::default() };
    let refused = member.call(&untrusting, "GET", "/patroni", &Value::Null).expect_err("unknown").to_string();
    assert!(refused.contains("no authority in ctl.cacert (") && refused.contains("/ca.pem)"), "{refused}");
    for said in [
        "it shows no certificate, and restapi.verify_client requires one".to_owned(),
        format!(
            "no authority in restapi.cafile ({}) has signed the client's certificate",
            dir.join("all.pem").display()
        ),
    ] {
        cluster.until(&format!("the log says {said:?}"), || member.log().contains(&said));
    }
}

/// A second agent of the leader's name does not start, whether it can ask the leader or not.
fn namesakes(cluster: &Cluster, bin: &str, leader: usize) {
    let node = &cluster.members[leader].node;
    let subnet = node.address.rsplit_once('.').expect("an address").0;
    let before = cluster.members[leader].postmaster().expect("it runs");
    for (calls_without, said) in [
        (false, "there is already a node named"),
        (true, "its lease in etcd is being renewed, although the node named"),
    ] {
        let dir = node.more.everything.clone().expect("it has one");
        let mut namesake = Member::new(&cluster.place, bin, subnet, 3).with_everything(&dir);
        namesake.node.name = node.name.clone();
        namesake.node.more.calls_without = calls_without;
        namesake.start(&cluster.place);
        let code = namesake.agent.as_mut().expect("it was started").wait().code();
        let log = namesake.log();
        assert!(code == Some(1) && log.contains(said) && log.contains(&node.address), "{code:?} {log}");
        assert!(!namesake.node.data_dir().exists(), "{log}");
    }
    assert_eq!(cluster.members[leader].postmaster(), Some(before), "the leader has noticed nothing");
    assert!(cluster.is_whole());
}
