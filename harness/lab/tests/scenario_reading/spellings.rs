//! What people write first: taken for what it means where there is no doubt, and else answered with the right word.

use pgdrill_lab::scenario::{Action, Scenario};

use super::{HEAD, problems, read};

fn with(line: &str) -> String {
    format!(
        "{HEAD}timeline:\n  - {{ at: 1s, cut: {{ isolate: pg3 }}, for: 1s }}\n  - {{ at: 1s, pause: cluster }}\n  \
         - {{ at: 1s, kill: {{ process: etcd, on: etcd2 }} }}\n  - {{ at: 5s, {line} }}\nduration: 100s\n"
    )
}

fn last_action(scenario: &Scenario) -> Action {
    scenario.timeline.last().expect("there are lines").action.clone()
}

#[test]
fn a_short_spelling_means_what_the_long_one_does() {
    for (short, long) in [
        ("loss: { isolate: pg1, probability: 30% }", "loss: { isolate: pg1, probability: 0.3 }"),
        ("loss: { isolate: pg1, probability: 0.5 % }", "loss: { isolate: pg1, probability: 0.005 }"),
        ("pause: true", "pause: cluster"),
        ("resume: true", "resume: cluster"),
        ("compact: true", "compact: etcd"),
        ("heal: true", "heal: all"),
        ("switchover: true", "switchover: {}"),
        ("failover: pg2", "failover: { candidate: pg2 }"),
        ("cut: leader", "cut: { isolate: leader }"),
        ("cut: [leader, replicas + etcd]", "cut: { between: [leader, replicas + etcd] }"),
        ("kill: etcd leader", "kill: { process: etcd, on: etcd leader }"),
        ("stop: etcd1 + etcd3", "stop: { process: etcd, on: etcd1 + etcd3 }"),
        ("start: etcd2", "start: { process: etcd, on: etcd2 }"),
        ("kill: haproxy", "kill: { process: haproxy, on: haproxy }"),
        ("restart: leader", "restart: { on: leader }"),
        ("bandwidth: { isolate: pg1, rate: 8Mbit/s }", "bandwidth: { isolate: pg1, rate: 1MB/s }"),
        ("delay: { isolate: pg1, add: 5 ms }", "delay: { isolate: pg1, add: 5ms }"),
    ] {
        let action = |line: &str| {
            let read = read(&with(line)).unwrap_or_else(|problems| panic!("{line}: {problems:#?}"));
            last_action(&read)
        };
        assert_eq!(action(short), action(long), "{short}");
    }
}

#[test]
fn what_can_be_meant_in_several_ways_is_answered_with_the_right_words() {
    for (line, words) in [
        ("loss: { isolate: pg1, probability: 30 }", "percent are written with their sign: 30%"),
        ("restart: etcd1", "kill: { process: etcd, on: etcd1 } with `for: 5s`"),
        ("kill: leader", "kill: { process: postgres, on: leader }"),
        ("kill: leader", "for the whole host there is power_off: leader"),
        ("start: pg1", "for the whole host there is power_on: pg1"),
        ("kill: postgres", "whose postgres? kill: { process: postgres, on: leader }"),
        ("kill: { process: patroni, on: leader }", "write agent"),
        ("freeze: postgres", "postgres is a process"),
        ("switchover: pg2", "{ candidate: pg2 } for a switchover to it"),
        ("power_off: primary", "write leader"),
        ("power_off: standby", "write any replica"),
        ("reboot: leader", "write power_off: leader, with `for: 30s`"),
        ("partition: leader", "write cut: { isolate: leader }"),
        ("unpause: true", "write resume: cluster"),
        ("reinit: pg2", "write reinitialize: pg2"),
        ("clock_step: { on: leader, by: 5 parsecs }", "those are h, m (or min), s, ms, us and ns"),
    ] {
        let found = problems_with_help(line);
        assert!(found.contains(words), "{line}: {found}");
    }
}

fn problems_with_help(line: &str) -> String {
    assert_ne!(problems(&with(line)), "no problem", "{line}");
    let found = read(&with(line)).expect_err("a problem");
    found.iter().map(|problem| format!("{problem} ({})", problem.help)).collect::<Vec<_>>().join("\n")
}

#[test]
fn etcd_runs_on_hosts_of_its_own_or_on_the_nodes() {
    let hosts = |cluster: &str| {
        let text = format!("{HEAD}cluster: {{ {cluster} }}\nduration: 10s\n");
        read(&text).unwrap_or_else(|problems| panic!("{cluster}: {problems:#?}")).cluster.hosts().join(" ")
    };
    assert_eq!(hosts("router: direct"), "pg1 pg2 pg3 etcd1 etcd2 etcd3");
    assert_eq!(hosts("router: direct, etcd: 1"), "pg1 pg2 pg3 etcd1");
    assert_eq!(hosts("router: direct, etcd: { members: 5 }"), "pg1 pg2 pg3 etcd1 etcd2 etcd3 etcd4 etcd5");
    assert_eq!(hosts("etcd: { on: nodes }"), "pg1 pg2 pg3 haproxy");
    assert_eq!(hosts("nodes: 2, router: direct, etcd: { on: nodes }"), "pg1 pg2 etcd3");
    assert_eq!(hosts("nodes: 5, router: direct, etcd: { members: 3, on: nodes }"), "pg1 pg2 pg3 pg4 pg5");
}

#[test]
fn what_is_said_of_etcd_on_the_nodes_is_checked_by_where_it_runs() {
    let problem = |cluster: &str, timeline: &str| {
        let text =
            format!("{HEAD}cluster: {{ etcd: {{ on: nodes }}{cluster} }}\ntimeline:\n{timeline}duration: 100s\n");
        problems(&text)
    };
    // A node has an etcd member that can be killed, and an etcd member's host has a PostgreSQL.
    assert_eq!(problem("", "  - { at: 5s, kill: { process: etcd, on: leader } }\n"), "no problem");
    assert_eq!(problem("", "  - { at: 5s, kill: { process: postgres, on: etcd leader } }\n"), "no problem");
    assert_eq!(problem("", "  - { at: 5s, power_off: etcd2 }\n"), "no problem");
    let beyond = problem(", nodes: 5", "  - { at: 5s, kill: { process: etcd, on: pg4 } }\n");
    assert!(beyond.contains("expected etcd members"), "pg4 has none of the three: {beyond}");
    let zone = problem(", zones: { a: [pg1, etcd1] }", "");
    assert!(zone.contains("cluster.zones.a[1]"), "{zone}");
    let text = format!("{HEAD}cluster: {{ etcd: {{ members: 2, on: nodes }} }}\nduration: 10s\n");
    assert!(problems(&text).contains("cluster.etcd.members: found 2, expected 1, 3 or 5 members"));
    let healthy = format!(
        "{HEAD}cluster: {{ etcd: {{ on: nodes }} }}\ntimeline:\n  - {{ at: 5s, power_off: etcd leader }}\nexpect: {{ end: healthy }}\n\
         duration: 100s\n"
    );
    assert!(problems(&healthy).contains("expect.end"), "a machine that stays off keeps a node out");
}
