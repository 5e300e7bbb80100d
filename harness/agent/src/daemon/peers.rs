//! Asks other members: their state before a race, their consent in failsafe mode, the leader's timelines before a rewind.

use std::{collections::BTreeMap, io, time::Duration};

use futures::future::join_all;
use http::{Method, StatusCode};
use pgdrill_ha::{
    Lsn,
    config::{Tags, remote_primary},
    decision::{Peer, Upstream},
    view::{FailsafeAnswer, LeaderInspection, PeerAnswer, PeerStatus},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    observe::parse_history,
    parts::{Parts, Ports},
};
use crate::{
    config::HostPort,
    postgres::{Sql, SqlError, statements},
    rest::client::{PEER_TIMEOUT, endpoint},
};

/// `GET api_url` of all at once. Whoever could not be asked counts as silent.
pub(crate) async fn ask_peers<T: Ports>(parts: &Parts<T>, peers: &[Peer]) -> BTreeMap<String, PeerStatus> {
    let (answers, _) = ask_each(parts, peers).await;
    answers
}

/// The same for a race, in which silence would be taken for absence.
///
/// # Errors
/// Not all could be asked, because this machine lacks what that takes: nothing is known of them then.
pub(crate) async fn ask_rivals<T: Ports>(
    parts: &Parts<T>,
    peers: &[Peer],
) -> Result<BTreeMap<String, PeerStatus>, String> {
    let (answers, lack) = ask_each(parts, peers).await;
    lack.map_or(Ok(answers), |lack| Err(format!("the members cannot be asked now: {lack}")))
}

async fn ask_each<T: Ports>(parts: &Parts<T>, peers: &[Peer]) -> (BTreeMap<String, PeerStatus>, Option<String>) {
    let ask = |peer: Peer| async move {
        let answer = parts.members.request(Method::GET, &peer.api_url, None, PEER_TIMEOUT).await;
        let lack = answer.as_ref().err().filter(|error| pgdrill_net::is_lack(error)).map(ToString::to_string);
        let status = match answer.and_then(|answer| serde_json::from_slice(&answer.body).map_err(io::Error::from)) {
            Ok(document) => peer_status(&document),
            Err(error) => PeerStatus::Unreachable { reason: error.to_string() },
        };
        (peer.name, status, lack)
    };
    let mut answers = BTreeMap::new();
    let mut lacking = None;
    for (name, status, lack) in join_all(peers.iter().cloned().map(ask)).await {
        answers.insert(name, status);
        lacking = lacking.or(lack);
    }
    (answers, lacking)
}

/// One that tells no position has a PostgreSQL that does not run or gives no sign of life: for a race it counts as one that
/// does not answer (in Patroni a `KeyError` of `from_api_response`), whatever its role was.
fn peer_status(document: &Value) -> PeerStatus {
    if ["wal", "xlog"].iter().any(|field| document.get(field).is_some_and(Value::is_object)) {
        PeerStatus::Answered(peer_answer(document))
    } else {
        let state = document.get("state").and_then(Value::as_str).unwrap_or("unknown");
        PeerStatus::Unreachable { reason: format!("its PostgreSQL tells no position: it is {state}") }
    }
}

/// Reads `/patroni` as Patroni's `_MemberStatus.from_api_response` does.
pub(crate) fn peer_answer(document: &Value) -> PeerAnswer {
    let position = |path: &str| document.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let tags = document.get("tags").and_then(Value::as_object).cloned().map(Tags).unwrap_or_default();
    // Older versions know no other sign of a primary than its role.
    let is_primary = matches!(document.get("role").and_then(Value::as_str), Some("primary" | "master"));
    let location = position("/xlog/location");
    PeerAnswer {
        in_recovery: !is_primary,
        timeline: document.get("timeline").and_then(Value::as_u64).and_then(|timeline| timeline.try_into().ok()),
        position: Lsn(location.max(position("/xlog/received_location")).max(position("/xlog/replayed_location"))),
        nofailover: tags.nofailover(),
        failover_priority: tags.failover_priority(),
        watchdog_failed: document.get("watchdog_failed").and_then(Value::as_bool).unwrap_or(false),
    }
}

/// `POST /failsafe` to all at once, one retry each.
pub(crate) async fn ask_failsafe<T: Ports>(parts: &Parts<T>, peers: &[Peer]) -> BTreeMap<String, FailsafeAnswer> {
    let slots: BTreeMap<String, u64> = {
        let published = parts.shared.published();
        let slots = published.postgres.slots.iter();
        slots.filter_map(|(name, slot)| Some((name.clone(), slot.position?.0))).collect()
    };
    let config = parts.config();
    let body =
        json!({ "name": config.name, "conn_url": config.conn_url(), "api_url": config.api_url(), "slots": slots });
    let body = &body;
    let ask = |peer: Peer| async move {
        let url = endpoint(&peer.api_url, "failsafe");
        let mut answer = parts.members.request(Method::POST, &url, Some(body), PEER_TIMEOUT).await;
        if answer.is_err() {
            answer = parts.members.request(Method::POST, &url, Some(body), PEER_TIMEOUT).await;
        }
        let answer = match answer {
            Ok(answer) if answer.status == StatusCode::OK => {
                let lsn = answer.headers.get("lsn").and_then(|value| value.to_str().ok()?.parse().ok());
                FailsafeAnswer::Accepted { lsn: lsn.map(Lsn) }
            }
            Ok(answer) => FailsafeAnswer::Refused {
                reason: format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
            },
            Err(error) => FailsafeAnswer::Unreachable { reason: error.to_string() },
        };
        (peer.name, answer)
    };
    join_all(peers.iter().cloned().map(ask)).await.into_iter().collect()
}

/// Asks the leader for its role, timeline and timeline history.
pub(crate) async fn inspect_leader<T: Ports>(parts: &Parts<T>, leader: &Upstream) -> LeaderInspection {
    let Some(address) = address(leader) else {
        return LeaderInspection::Unreachable { reason: "no leader with an address".into() };
    };
    let config = parts.config();
    let (user, options) = config.postgresql.rewinder();
    let sql = Sql::new(parts.net.clone(), address, user.clone()).with_options(options);
    let limit = parts.shared.published().config.retry_timeout.max(Duration::from_secs(3));
    let reason = match timeout(limit, timelines(&sql)).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".into(),
    };
    parts.trouble("sql", format!("the leader cannot be compared with, as {}: {reason}", user.username));
    LeaderInspection::Unreachable { reason }
}

async fn timelines<N: pgdrill_net::Net>(sql: &Sql<N>) -> Result<LeaderInspection, SqlError> {
    let rows = sql.query(statements::LEADER_TIMELINE).await?;
    let get = |index: usize| rows.first().and_then(|row| row.try_get(index).ok().flatten());
    let in_recovery = get(0) == Some("t");
    let timeline = get(1).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let mut history = Vec::new();
    if timeline > 1 {
        let rows = sql.query(&statements::history_file(timeline)).await?;
        let text = rows.first().and_then(|row| row.try_get(0).ok().flatten()).unwrap_or_default();
        history = parse_history(text).into_iter().map(|line| (line.timeline, line.switchpoint)).collect();
    }
    Ok(LeaderInspection::Answered { in_recovery, timeline, history })
}

/// Where an upstream listens; `None` for one that has no fixed place.
pub(crate) fn address(upstream: &Upstream) -> Option<HostPort> {
    match upstream {
        Upstream::Member { host, port, .. } => Some(HostPort::new(host.as_str(), *port)),
        Upstream::Remote(section) => {
            let (host, port) = remote_primary(section)?;
            Some(HostPort::new(host, port))
        }
        Upstream::Unchanged | Upstream::ArchiveOnly => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_tells_no_position_is_as_good_as_silent() {
        let status = |document: Value| peer_status(&document);
        let alive = json!({"role": "primary", "state": "running", "xlog": {"location": 7}});
        assert!(matches!(status(alive), PeerStatus::Answered(answer) if !answer.in_recovery));
        // It must not keep others from being promoted: it may never be a primary that answers again.
        let hangs = json!({"role": "primary", "state": "unknown"});
        assert!(matches!(status(hangs), PeerStatus::Unreachable { reason } if reason.contains("unknown")));
    }

    #[test]
    fn a_members_answer_is_read_as_patroni_reads_it() {
        let replica = json!({"role": "replica", "timeline": 3, "tags": {"failover_priority": 5},
            "xlog": {"received_location": 900, "replayed_location": 1000}});
        let answer = peer_answer(&replica);
        assert!(answer.in_recovery && !answer.nofailover && !answer.watchdog_failed);
        assert_eq!((answer.timeline, answer.position, answer.failover_priority), (Some(3), Lsn(1000), 5));
        let primary = peer_answer(&json!({"role": "master", "xlog": {"location": 7}, "tags": {"nofailover": true}}));
        assert!(!primary.in_recovery && primary.nofailover);
        assert_eq!(primary.position, Lsn(7));
    }
}
