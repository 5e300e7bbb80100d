//! Where this REST API, its metrics and the member key differ from Patroni 4.1.5's on purpose, each with the reason. Read side by
//! side with Patroni's `api.py`, `ha.py` and `utils.py`; whatever is not in this list and differs is a mistake.

/// One difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: a path of the API, `member` for `members/<name>`, `metrics`, or `*` for all answers.
    pub place: &'static str,
    /// The field, the metric, or what of the answer.
    pub what: &'static str,
    /// What Patroni has.
    pub patroni: &'static str,
    /// What is here.
    pub here: &'static str,
    /// Why.
    pub why: &'static str,
}

const fn it(
    place: &'static str,
    what: &'static str,
    patroni: &'static str,
    here: &'static str,
    why: &'static str,
) -> Difference {
    Difference { place, what, patroni, here, why }
}

/// All of them.
pub const DIFFERENCES: &[Difference] = &[
    it(
        "/primary",
        "200",
        "as soon as the lock is held",
        "as soon as it is held and PostgreSQL accepts writes",
        "until a promotion is through, writes would be sent to a server that refuses them",
    ),
    it(
        "/primary, /leader",
        "200",
        "ttl from the answer to the renewal, by the wall clock",
        "ttl from before the renewal was asked for, by a clock that nobody sets",
        "a lease is no longer than etcd takes it to be",
    ),
    it(
        "/readiness",
        "200 of a leader",
        "whether or not PostgreSQL runs",
        "only if it runs",
        "a server that is down serves nobody",
    ),
    it(
        "/liveness, /readiness",
        "HEAD and OPTIONS",
        "503 always",
        "as GET",
        "a HEAD that says something else than GET misleads a load balancer",
    ),
    it("/patroni, /cluster, /history, /config, /metrics, /failsafe", "HEAD", "503 always", "as GET", "as above"),
    it(
        "/patroni",
        "logger_queue_size, logger_records_lost",
        "length of the log's queue",
        "absent",
        "lines are written as they come: there is no queue",
    ),
    it(
        "/patroni",
        "watchdog_failed",
        "the watchdog is required and not to be had",
        "also for the dead-man process",
        "members and operators know what to make of the field",
    ),
    it(
        "/patroni, member",
        "timeline of a replica without walreceiver",
        "IDENTIFY_SYSTEM over a replication connection",
        "pg_control's, or that of the last walreceiver",
        "no replication connection is opened for it; after a promotion it may lag by a restartpoint",
    ),
    it(
        "/patroni, member",
        "state in pause of a server that starts",
        "running, and then unknown",
        "starting",
        "that is what it does",
    ),
    it(
        "/patroni, member",
        "state after a failed copy",
        "creating replica",
        "stopped",
        "nothing is being created until it is tried again",
    ),
    it(
        "member",
        "xlog_location, receive_lsn, replay_lsn, replication_state during a task",
        "absent",
        "as last seen, while PostgreSQL answers",
        "more is known",
    ),
    it(
        "/cluster",
        "lag, receive_lag, replay_lag while /status has no position",
        "0",
        "unknown",
        "nobody takes not knowing for no lag",
    ),
    it(
        "/cluster, /patroni, member",
        "moments of a schedule",
        "in the time zone of the request",
        "in UTC",
        "the same moment, spelled one way",
    ),
    it(
        "/history, /config",
        "source",
        "the view of the last cycle",
        "read for the request",
        "what was just written is there",
    ),
    it(
        "/cluster, /history",
        "etcd cannot be reached",
        "the connection is closed without an answer",
        "503 with the reason",
        "an error is told",
    ),
    it(
        "metrics",
        "label values",
        "as they are",
        "quotes, backslashes and line ends escaped",
        "the text format asks for it (Prometheus, \"Text-based format\")",
    ),
    it(
        "POST /mpp",
        "access",
        "everybody",
        "as every other unsafe call",
        "whoever may send bodies without being asked who he is can fill the agent's memory",
    ),
    it(
        "POST, PATCH, PUT",
        "bodies",
        "read as long as they come, whatever their size",
        "64 KiB (a configuration: 1 MiB) and 10 s: 413, 408",
        "memory and time have an end",
    ),
    it(
        "*",
        "connections",
        "5 at a time, the others wait",
        "256 at most and 64 of one address; who keeps the agent waiting makes room for newcomers",
        "slow clients must not keep a health check waiting",
    ),
    it("*", "protocol", "HTTP/1.0, a connection for each request", "HTTP/1.1", "checks need not connect each time"),
    it("*", "bodies of errors", "a page of HTML", "a sentence with the reason", "it is read by people in a terminal"),
    it(
        "allowlist_include_members",
        "members while etcd cannot be reached",
        "none after ttl",
        "those last seen",
        "who was a member may still be the one to help",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_says_what_and_why() {
        for it in DIFFERENCES {
            assert!(![it.place, it.what, it.patroni, it.here, it.why].iter().any(|text| text.is_empty()), "{it:?}");
            assert_ne!(it.patroni, it.here, "{it:?}");
        }
    }
}
