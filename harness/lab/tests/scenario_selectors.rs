//! Selectors and links: which hosts they mean in a cluster whose state is known.

use std::collections::BTreeMap;

use pgdrill_lab::scenario::{Direction, Facts, Link, Selector, resolve};

/// Three zones; pg2 leads, etcd3 leads etcd, pg1 is synchronous.
fn facts() -> Facts {
    let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    Facts {
        nodes: names("pg1 pg2 pg3"),
        etcd: names("etcd1 etcd2 etcd3"),
        clients: names("client1 client2"),
        haproxy: Some("haproxy".into()),
        leader: Some("pg2".into()),
        replicas: names("pg1 pg3"),
        sync: names("pg1"),
        etcd_leader: Some("etcd3".into()),
        zones: BTreeMap::from([
            ("a".into(), names("pg1 etcd1")),
            ("b".into(), names("pg2 etcd2")),
            ("c".into(), names("pg3 etcd3")),
        ]),
        labels: BTreeMap::from([("old".into(), names("pg1"))]),
    }
}

fn resolved(text: &str, facts: &Facts) -> String {
    let selector: Selector = text.parse().expect("a selector");
    resolve(&selector, facts, &mut |n| n - 1).join(" ")
}

/// As [`facts`], with etcd on the nodes: pg3 leads etcd.
fn together() -> Facts {
    let facts = facts();
    let zones = facts.zones.iter().map(|(zone, hosts)| (zone.clone(), hosts[..1].to_vec())).collect();
    Facts { etcd: facts.nodes.clone(), etcd_leader: Some("pg3".into()), zones, ..facts }
}

#[test]
fn selectors_of_etcd_mean_the_nodes_that_its_members_run_on() {
    let facts = together();
    for (text, hosts) in [
        ("etcd", "pg1 pg2 pg3"),
        ("etcd leader", "pg3"),
        ("etcd followers", "pg1 pg2"),
        ("minority", "pg3"),
        ("majority", "pg1 pg2"),
        ("etcd2", "pg2"),
        ("everything", "pg1 pg2 pg3 haproxy client1 client2"),
        ("zone of etcd leader", "pg3"),
        ("leader + etcd leader", "pg2 pg3"),
        ("etcd4", ""),
    ] {
        assert_eq!(resolved(text, &facts), hosts, "{text}");
    }
    let witness = Facts {
        nodes: vec!["pg1".into(), "pg2".into()],
        etcd: vec!["pg1".into(), "pg2".into(), "etcd3".into()],
        ..facts
    };
    assert_eq!(resolved("etcd3", &witness), "etcd3", "a member beyond the last node has a host of its own");
    assert_eq!(resolved("etcd1", &witness), "pg1");
    assert_eq!(resolved("everything", &witness), "pg1 pg2 etcd3 haproxy client1 client2");
}

#[test]
fn a_leader_is_cut_from_the_other_nodes_members_but_not_from_its_own() {
    let cut = Link::Between { between: [Selector::Leader, Selector::Etcd] };
    let routes = cut.routes(&together(), &mut |_| 0);
    let pairs: Vec<String> = routes.iter().map(|route| format!("{}>{}", route.from, route.to)).collect();
    assert_eq!(pairs, ["pg1>pg2", "pg2>pg1", "pg2>pg3", "pg3>pg2"]);
}

#[test]
fn every_selector_means_the_hosts_that_its_words_say() {
    for (text, hosts) in [
        ("leader", "pg2"),
        ("replicas", "pg1 pg3"),
        ("any replica", "pg3"),
        ("any candidate", "pg1"),
        ("sync standby", "pg1"),
        ("async standby", "pg3"),
        ("nodes", "pg1 pg2 pg3"),
        ("etcd", "etcd1 etcd2 etcd3"),
        ("etcd leader", "etcd3"),
        ("etcd followers", "etcd1 etcd2"),
        ("minority", "etcd3"),
        ("majority", "etcd1 etcd2"),
        ("clients", "client1 client2"),
        ("haproxy", "haproxy"),
        ("everything", "pg1 pg2 pg3 etcd1 etcd2 etcd3 haproxy client1 client2"),
        ("zone a", "pg1 etcd1"),
        ("zone of leader", "pg2 etcd2"),
        ("zone of etcd leader", "etcd3 pg3"),
        ("pg3", "pg3"),
        ("client2", "client2"),
        ("old", "pg1"),
        ("leader + etcd leader + nodes", "pg2 etcd3 pg1 pg3"),
    ] {
        assert_eq!(resolved(text, &facts()), hosts, "{text}");
    }
}

#[test]
fn a_candidate_is_a_synchronous_standby_where_there_are_any_and_one_that_is_up() {
    let standby = |names: &[&str]| Facts { sync: names.iter().map(|&n| n.to_owned()).collect(), ..facts() };
    assert_eq!(resolved("any candidate", &standby(&[])), "pg3", "asynchronous: any replica");
    assert_eq!(resolved("any candidate", &standby(&["pg1", "pg3"])), "pg3", "any of them");
    assert_eq!(resolved("any candidate", &standby(&["pg4"])), "", "the one that is named is down");
}

#[test]
fn without_leaders_their_selectors_match_nobody() {
    let facts = Facts { leader: None, etcd_leader: None, replicas: Vec::new(), sync: Vec::new(), ..facts() };
    for text in [
        "leader",
        "any replica",
        "any candidate",
        "etcd leader",
        "sync standby",
        "zone of leader",
        "zone z",
        "new",
        "pg9",
    ] {
        assert_eq!(resolved(text, &facts), "", "{text}");
    }
    assert_eq!(resolved("minority", &facts), "etcd1", "somebody is in the minority even so");
}

#[test]
fn five_members_have_a_minority_of_two_and_one_has_none() {
    let members = |n: usize| (1..=n).map(|n| format!("etcd{n}")).collect::<Vec<_>>();
    let five = Facts { etcd: members(5), ..facts() };
    assert_eq!(resolved("minority", &five), "etcd3 etcd1");
    assert_eq!(resolved("majority", &five), "etcd2 etcd4 etcd5");
    let one = Facts { etcd: members(1), etcd_leader: Some("etcd1".into()), ..facts() };
    assert_eq!((resolved("minority", &one).as_str(), resolved("majority", &one).as_str()), ("", "etcd1"));
}

fn routes(link: &Link) -> Vec<String> {
    link.routes(&facts(), &mut |_| 0).iter().map(|route| format!("{}>{}", route.from, route.to)).collect()
}

fn selector(text: &str) -> Selector {
    text.parse().expect("a selector")
}

#[test]
fn a_link_between_two_sides_is_both_ways_and_never_inside_a_side() {
    let link = Link::Between { between: [selector("leader"), selector("nodes")] };
    assert_eq!(routes(&link), ["pg1>pg2", "pg2>pg1", "pg2>pg3", "pg3>pg2"]);
}

#[test]
fn one_way_links_have_one_direction() {
    let link = Link::OneWay { from: selector("leader"), to: selector("etcd1") };
    assert_eq!(routes(&link), ["pg2>etcd1"]);
    let isolated = |only| routes(&Link::Isolate { isolate: selector("haproxy"), only });
    assert!(isolated(Some(Direction::Inbound)).iter().all(|route| route.ends_with(">haproxy")));
    assert!(isolated(Some(Direction::Outbound)).iter().all(|route| route.starts_with("haproxy>")));
    assert_eq!(isolated(None).len(), 2 * 8);
}

#[test]
fn others_are_everything_on_the_other_side_whichever_side_that_is() {
    let left = Link::Between { between: [selector("others"), selector("zone a")] };
    let right = Link::Between { between: [selector("zone a"), selector("others")] };
    assert_eq!(routes(&left), routes(&right));
    assert_eq!(routes(&left).len(), 2 * 2 * 7);
}

#[test]
fn the_schema_knows_every_part_of_a_scenario() {
    let schema = serde_json::to_value(pgdrill_lab::scenario::json_schema()).expect("a schema is JSON");
    for part in ["name", "about", "cluster", "workload", "timeline", "expect", "duration"] {
        assert!(schema["properties"][part].is_object(), "{part} is missing");
    }
    let step = &schema["$defs"]["Step"];
    assert_eq!(step["oneOf"].as_array().map(Vec::len), Some(28), "one of the actions");
    let disk_full = &step["properties"]["disk_full"];
    assert_eq!(
        disk_full["description"],
        "No byte can be written any more: PostgreSQL panics when it needs to extend the WAL."
    );
}
