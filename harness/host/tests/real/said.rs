//! What REST says of a real server that other hands have been at.

use serde_json::{Value, json};

use crate::{
    cluster::{self, Cluster, block_on},
    machine,
    member::Member,
};

fn document(member: &Member) -> Value {
    let answer = member.ask("GET", "/patroni", &Value::Null);
    answer.and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
}

/// The member as `/cluster` of another one tells it.
fn listed(by: &Member, name: &str) -> Value {
    let (_, body) = by.ask("GET", "/cluster", &Value::Null).unwrap_or_default();
    let cluster: Value = serde_json::from_str(&body).unwrap_or_default();
    let members = cluster["members"].as_array().cloned().unwrap_or_default();
    members.into_iter().find(|member| member["name"] == name).unwrap_or_default()
}

fn reload(cluster: &Cluster, member: &Member) {
    let before = member.log().matches("received SIGHUP").count();
    assert_eq!(member.ask("POST", "/reload", &Value::Null).map(|(status, _)| status), Some(202));
    cluster.until("PostgreSQL reads its files", || member.log().matches("received SIGHUP").count() > before);
}

pub(crate) fn documents(bin: &str) {
    let cluster = Cluster::with(bin, 2, |_, member| member);
    let old = cluster.leader();
    let (former, leader) = (&cluster.members[old], &cluster.members[1 - old]);
    let order = json!({"leader": former.node.name, "candidate": leader.node.name});
    assert_eq!(former.ask("POST", "/switchover", &order).map(|(status, _)| status), Some(200));
    cluster.until("the other leads", || leader.is_primary() && cluster.is_whole());

    // A standby's recovery settings are nobody's reason to restart the primary that it has become.
    reload(&cluster, leader);
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(document(leader).get("pending_restart"), None, "{}", document(leader));
    assert!(!leader.log().contains("cannot be changed without restarting"), "{}", leader.log());

    // What the server itself will have, whoever said so.
    block_on(async {
        leader.sql.disconnect();
        leader.first("ALTER SYSTEM SET shared_buffers = '32MB'").await.expect("it may");
    });
    reload(&cluster, leader);
    let expected = json!({"shared_buffers": {"old_value": "16MB", "new_value": "32MB"}});
    cluster.until("what waits is told", || document(leader)["pending_restart_reason"] == expected);
    cluster.until("others are told", || listed(former, &leader.node.name)["pending_restart_reason"] == expected);

    // In pause nobody is alarmed by a server that is gone.
    assert_eq!(leader.ask("PATCH", "/config", &json!({"pause": true})).map(|(status, _)| status), Some(200));
    cluster.until("it is paused", || document(former)["pause"] == true);
    machine::kill(former.postmaster().expect("it runs"), libc::SIGKILL);
    cluster.until("it is told as stopped", || document(former)["state"] == "stopped");
    cluster.until("others say so", || listed(leader, &former.node.name)["state"] == "stopped");
    let (_, metrics) = former.ask("GET", "/metrics", &Value::Null).expect("it answers");
    let stopped = metrics.lines().any(|line| line.starts_with("patroni_postgres_state{") && line.ends_with(" 12"));
    assert!(stopped, "{metrics}");
    assert_eq!(leader.ask("PATCH", "/config", &json!({"pause": null})).map(|(status, _)| status), Some(200));
    cluster.until("all is as before", || cluster.is_whole());
    cluster::shut_down(cluster, 1 - old);
}
