//! Replication slots: which there are, which move and by what, with the DCS and without.

use std::collections::BTreeMap;

use pgdrill_ha::decision::{Action, Decision, Slots};
use pgdrill_ha::records::MemberRecord;
use pgdrill_ha::view::{FailsafeAnswer, FailsafePing, SlotView};
use pgdrill_ha::{Lsn, Monotonic, enforces_feedback};
use serde_json::{Value, json};

use crate::fixture::{END, NOW, Scene, actions, scene};

const BEHIND: Lsn = Lsn(END.0 - 1000);

fn physical(position: Lsn) -> SlotView {
    SlotView { physical: true, position: Some(position), ..SlotView::default() }
}

fn logical(position: Lsn) -> SlotView {
    let (database, plugin) = (Some("shop".into()), Some("pgoutput".into()));
    SlotView { position: Some(position), database, plugin, ..SlotView::default() }
}

/// A member with slots for the two others, all of them behind, and two permanent ones.
fn member(name: &str) -> Scene {
    let mut scene = scene(name);
    scene.config.use_slots = true;
    scene.config.dynamic = json!({"slots": {"barman": {"type": "physical"},
        "events": {"type": "logical", "database": "shop", "plugin": "pgoutput"}}});
    let others = ["pg1", "pg2", "pg3"].into_iter().filter(|other| *other != name);
    let mut slots: BTreeMap<String, SlotView> = others.map(|other| (other.into(), physical(BEHIND))).collect();
    slots.insert("barman".into(), physical(BEHIND));
    slots.insert("events".into(), logical(BEHIND));
    scene.local.postgres.slots = slots;
    if name == "pg1" {
        return scene.holding();
    }
    let follows = scene.local.postgres.follows.as_mut().unwrap();
    follows.slot = Some(name.into());
    scene
}

fn publish(scene: &mut Scene, positions: &[(&str, Lsn)]) {
    scene.cluster.status.value.slots = positions.iter().map(|(slot, lsn)| ((*slot).into(), *lsn)).collect();
}

fn tag(scene: &mut Scene, member: &str, tag: &str, value: Value) {
    scene.cluster.members.get_mut(member).unwrap().tags.0.insert(tag.into(), value);
}

fn slots(decision: &Decision) -> Slots {
    let found = decision.actions.iter().find_map(|action| match action {
        Action::SyncSlots(slots) => Some(slots.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}

/// The slots that are to move, with where to.
fn moved(decision: &Decision) -> BTreeMap<String, Lsn> {
    let slots = slots(decision);
    let logical = slots.logical.into_iter().filter_map(|(name, (_, target))| Some((name, target?)));
    slots.physical.into_iter().filter_map(|(name, target)| Some((name, target?))).chain(logical).collect()
}

fn all(names: &[&str], position: Lsn) -> BTreeMap<String, Lsn> {
    names.iter().map(|name| ((*name).to_owned(), position)).collect()
}

const PUBLISHED: [(&str, Lsn); 5] = [("pg1", END), ("pg2", END), ("pg3", END), ("barman", END), ("events", END)];

#[test]
fn a_replicas_slots_follow_what_the_leader_publishes() {
    let mut scene = member("pg2");
    publish(&mut scene, &PUBLISHED);
    assert_eq!(moved(&scene.decide()), all(&["pg1", "pg3", "barman", "events"], END));
}

#[test]
fn a_leaders_slots_are_moved_by_their_users_and_those_for_cascading_members_by_what_these_say() {
    let mut scene = member("pg1");
    publish(&mut scene, &PUBLISHED);
    assert_eq!(moved(&scene.decide()), BTreeMap::new());
    // pg3 streams from pg2: nobody uses its slot here, which would keep WAL for ever.
    tag(&mut scene, "pg3", "replicatefrom", json!("pg2"));
    scene.cluster.members.get_mut("pg3").unwrap().xlog_location = Some(Lsn(END.0 + 5));
    assert_eq!(moved(&scene.decide()), all(&["pg3"], Lsn(END.0 + 5)));
}

#[test]
fn a_cascading_members_own_word_counts_on_replicas_and_its_upstream_leaves_its_slot_alone() {
    let mut other = member("pg2");
    publish(&mut other, &[("pg1", END), ("pg3", BEHIND)]);
    tag(&mut other, "pg3", "replicatefrom", json!("pg1"));
    assert_eq!(moved(&other.decide()), all(&["pg1", "pg3"], END));
    let mut upstream = member("pg2");
    publish(&mut upstream, &PUBLISHED);
    tag(&mut upstream, "pg3", "replicatefrom", json!("pg2"));
    assert_eq!(moved(&upstream.decide()), all(&["pg1", "barman", "events"], END));
}

#[test]
fn a_leader_older_than_patroni_4_publishes_no_members_positions_zoo_63() {
    let mut scene = member("pg2");
    publish(&mut scene, &[]);
    let version = |scene: &mut Scene, version: &str| {
        scene.cluster.members.get_mut("pg1").unwrap().version = Some(version.into());
    };
    version(&mut scene, "4.0.6");
    assert_eq!(moved(&scene.decide()), BTreeMap::new());
    version(&mut scene, "3.3.2");
    assert_eq!(moved(&scene.decide()), all(&["pg1", "pg3"], END));
}

fn with_ping(mut scene: Scene, positions: &[(&str, Lsn)]) -> Scene {
    scene.config.failsafe_mode = true;
    scene.local.failsafe_ping = Some(FailsafePing {
        leader: "pg1".into(),
        conn_url: Some("postgres://10.0.0.1:5432/postgres".into()),
        api_url: None,
        slots: positions.iter().map(|(slot, lsn)| ((*slot).into(), *lsn)).collect(),
        received: NOW,
    });
    scene
}

#[test]
fn in_failsafe_mode_a_replicas_slots_follow_what_travels_with_the_leaders_question() {
    let mut scene = with_ping(member("pg2"), &PUBLISHED);
    scene.local.failsafe_ping.as_mut().unwrap().received = Monotonic::from_secs(900);
    scene.decide();
    // Nobody reaches the DCS.
    assert_eq!(actions(&scene.decide_without_dcs()), Vec::<&str>::new(), "told longer ago than ttl");
    let mut scene = with_ping(scene, &PUBLISHED);
    let decision = scene.decide_without_dcs();
    assert_eq!(moved(&decision), all(&["pg1", "pg3", "barman", "events"], END));
    assert!(slots(&decision).drop.is_empty());
    scene.now = Monotonic::from_secs(1030);
    assert_eq!(actions(&scene.decide_without_dcs()), Vec::<&str>::new(), "too long ago");
    scene.now = NOW;
    scene.config.failsafe_mode = false;
    assert_eq!(actions(&scene.decide_without_dcs()), Vec::<&str>::new());
}

#[test]
fn so_they_do_when_only_the_leader_has_lost_the_dcs_and_nothing_is_copied_from_it() {
    let mut scene = with_ping(member("pg2"), &PUBLISHED);
    publish(&mut scene, &[("barman", BEHIND), ("events", BEHIND)]);
    scene.cluster.leader = None;
    let decision = scene.decide();
    assert_eq!(decision.reason.code(), "following");
    assert_eq!(moved(&decision), all(&["pg1", "pg3", "barman", "events"], END));
    scene.local.postgres.slots.remove("events");
    assert!(!actions(&scene.decide()).contains(&"copy_slots"));
    // The lock is there and cannot be renewed: a DCS that can only be read.
    let mut read_only = with_ping(member("pg2"), &PUBLISHED);
    publish(&mut read_only, &[("barman", BEHIND)]);
    assert_eq!(moved(&read_only.decide()), all(&["pg1", "pg3", "barman", "events"], END));
}

#[test]
fn in_failsafe_mode_a_leaders_slot_for_a_cascading_member_follows_its_answer() {
    let mut scene = member("pg1");
    scene.config.failsafe_mode = true;
    tag(&mut scene, "pg3", "replicatefrom", json!("pg2"));
    scene.cluster.members.get_mut("pg3").unwrap().xlog_location = Some(BEHIND);
    scene.cluster.failsafe = Some(["pg1", "pg2", "pg3"].map(|n| (n.to_owned(), format!("http://{n}/patroni"))).into());
    scene.decide();
    let yes = |lsn: u64| FailsafeAnswer::Accepted { lsn: Some(Lsn(lsn)) };
    scene.local.round.failsafe = Some(BTreeMap::from([("pg2".into(), yes(END.0)), ("pg3".into(), yes(END.0 - 7))]));
    scene.local.round.failsafe_asked_at = scene.now;
    let decision = scene.decide_without_dcs();
    assert_eq!(decision.reason.code(), "failsafe_active");
    assert_eq!(moved(&decision), all(&["pg3"], Lsn(END.0 - 7)));
}

/// Which nodes get logical slots: the leader's are copied there. `tags` are those of (pg2, pg3).
#[test]
fn logical_slots_are_copied_only_to_nodes_whose_feedback_reaches_the_primary() {
    let copies = |tags: [Value; 2]| {
        let mut scene = member("pg2");
        publish(&mut scene, &PUBLISHED);
        scene.local.postgres.slots.remove("events");
        let [own, other] = tags.map(|tags| tags.as_object().unwrap().clone());
        scene.config.tags.0.clone_from(&own);
        scene.cluster.members.get_mut("pg2").unwrap().tags.0 = own;
        scene.cluster.members.get_mut("pg3").unwrap().tags.0 = other;
        if scene.config.tags.nostream() {
            scene.local.postgres.follows = None;
        } else if scene.config.tags.replicatefrom() == Some("pg3") {
            scene.local.postgres.follows.as_mut().unwrap().host = "10.0.0.3".into();
        }
        actions(&scene.decide()).contains(&"copy_slots")
    };
    for (own, other, expected) in [
        (json!({}), json!({}), true),
        (json!({"replicatefrom": "pg3"}), json!({}), true),
        (json!({"replicatefrom": "pg9"}), json!({}), true),
        (json!({"nostream": true}), json!({}), false),
        (json!({"nofailover": true}), json!({}), false),
        (json!({"replicatefrom": "pg3"}), json!({"nostream": true}), false),
        (json!({"replicatefrom": "pg3"}), json!({"nofailover": true}), true),
        // A ring: nobody streams from the primary.
        (json!({"replicatefrom": "pg3"}), json!({"replicatefrom": "pg2"}), false),
    ] {
        assert_eq!(copies([own.clone(), other.clone()]), expected, "pg2 {own}, pg3 {other}");
    }
}

#[test]
fn a_logical_slot_on_a_node_whose_feedback_does_not_reach_the_primary_is_dropped() {
    let mut scene = member("pg2").tag("replicatefrom", json!("pg3"));
    scene.local.postgres.follows.as_mut().unwrap().host = "10.0.0.3".into();
    assert!(slots(&scene.decide()).drop.is_empty());
    tag(&mut scene, "pg3", "nostream", json!(true));
    // Nor does a nostream member have a slot.
    assert_eq!(slots(&scene.decide()).drop, ["events".to_owned(), "pg3".to_owned()].into());
}

#[test]
fn slots_that_cannot_be_kept_in_step_are_made_anew() {
    let drops = |change: fn(&mut Scene)| {
        let mut scene = member("pg2");
        change(&mut scene);
        slots(&scene.decide()).drop.into_iter().collect::<Vec<_>>().join(" ")
    };
    fn slot<'a>(scene: &'a mut Scene, name: &str) -> &'a mut SlotView {
        scene.local.postgres.slots.get_mut(name).unwrap()
    }
    assert_eq!(drops(|_| ()), "");
    // The feedback of a standby that streams elsewhere by now would hold vacuum back on all nodes.
    assert_eq!(drops(|scene| slot(scene, "pg3").has_xmin = true), "pg3");
    assert_eq!(drops(|scene| slot(scene, "barman").has_xmin = true), "barman");
    // It streams from us, or will be promoted in a moment.
    assert_eq!(drops(|scene| (slot(scene, "pg3").has_xmin, slot(scene, "pg3").active) = (true, true)), "");
    let cascades = |scene: &mut Scene| {
        slot(scene, "pg3").has_xmin = true;
        tag(scene, "pg3", "replicatefrom", json!("pg2"));
    };
    assert_eq!(drops(cascades), "");
    let leaderless = |scene: &mut Scene| {
        slot(scene, "pg3").has_xmin = true;
        scene.cluster.leader = None;
    };
    assert_eq!(drops(leaderless), "");
    // Made by somebody else, without reserving WAL: it does not move.
    assert_eq!(drops(|scene| slot(scene, "pg3").position = None), "pg3");
    assert_eq!(drops(|scene| *slot(scene, "pg3") = logical(END)), "pg3");
}

#[test]
fn feedback_is_needed_where_logical_slots_are_and_by_those_they_hang_on() {
    let enforced = |tags: [Value; 2], standby_cluster: bool| {
        let mut scene = member("pg2");
        let [own, other] = tags.map(|tags| tags.as_object().unwrap().clone());
        scene.config.tags.0 = own;
        scene.cluster.members.get_mut("pg3").unwrap().tags.0 = other;
        scene.config.standby_cluster = standby_cluster.then(|| json!({"host": "dc1"}));
        enforces_feedback(&scene.cluster, &scene.config, "pg2")
    };
    let plain = || json!({});
    assert!(enforced([plain(), plain()], false));
    assert!(!enforced([plain(), plain()], true), "no logical slots in a standby cluster");
    assert!(!enforced([json!({"nofailover": true}), plain()], false), "it has none itself");
    assert!(
        enforced([json!({"nofailover": true}), json!({"replicatefrom": "pg2"})], false),
        "pg3's feedback goes through it"
    );
    let both_barred = [json!({"nofailover": true}), json!({"replicatefrom": "pg2", "nofailover": true})];
    assert!(!enforced(both_barred, false));
    assert!(!enforced([json!({"replicatefrom": "pg3"}), json!({"replicatefrom": "pg2"})], false), "a ring");
    let mut none = member("pg2");
    none.config.dynamic = json!({"slots": {"barman": {"type": "physical"}}});
    assert!(!enforces_feedback(&none.cluster, &none.config, "pg2"));
}

/// `Status.retain_slots` in Patroni: of all members, also while they are there.
#[test]
fn a_leader_publishes_the_members_slots_that_its_successor_is_to_keep() {
    let retained = |scene: &mut Scene| {
        scene.local.round.lock = None;
        let decision = scene.decide();
        let Action::RenewLock { status: Some(status) } = &decision.actions[0] else { panic!("{decision:?}") };
        status.retain_slots.clone()
    };
    let mut scene = member("pg1");
    assert_eq!(retained(&mut scene), ["pg1", "pg2", "pg3"]);
    scene.cluster.members.remove("pg2");
    scene.next_cycle(10);
    assert_eq!(retained(&mut scene), ["pg1", "pg2", "pg3"], "pg2 may come back");
    tag(&mut scene, "pg3", "nostream", json!(true));
    scene.config.dynamic["slots"]["pg2"] = json!({"type": "physical"});
    scene.next_cycle(4000);
    assert_eq!(retained(&mut scene), ["pg1"]);
}

#[test]
fn a_member_record_of_a_vanished_member_keeps_its_slot_and_moves_it_nowhere() {
    let mut scene = member("pg2");
    scene.decide();
    let _: Option<MemberRecord> = scene.cluster.members.remove("pg3");
    publish(&mut scene, &PUBLISHED);
    let decision = scene.decide();
    assert_eq!(moved(&decision), all(&["pg1", "barman", "events"], END));
    assert!(slots(&decision).drop.is_empty());
}
