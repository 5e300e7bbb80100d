//! What others see of a leader that has demoted itself.

use pgdrill_lab::{
    event::{At, Event, ProcessState, What},
    scenario,
    world::World,
};
use pgdrill_sim::SimWorld;

const CUT_FROM_ETCD: &str = "
name: demotion
about: The leader loses etcd and demotes itself.
timeline:
  - { at: 20s, cut: { between: [leader, etcd] }, as: old }
duration: 60s
";

/// When, and on which node.
type Moments<'a> = Vec<(At, &'a str)>;

/// When each node's `/primary` answered 200, and when its PostgreSQL ended.
fn seen(events: &[Event]) -> (Moments<'_>, Moments<'_>) {
    let (mut primaries, mut ends) = (vec![], vec![]);
    for event in events {
        match &event.what {
            What::Rest { path, status: Some(200), .. } if path == "/primary" => {
                primaries.push((event.at, event.node.as_str()));
            }
            What::Process { process, state: ProcessState::Exited, .. } if process == "postgres" => {
                ends.push((event.at, event.node.as_str()));
            }
            _ => {}
        }
    }
    (primaries, ends)
}

/// The lease goes on for ten seconds after the demotion, and `/primary` must not: a router would send everybody to a server
/// that refuses writes. `Ha.demote` in Patroni ends with `set_is_leader(False)`.
#[test]
fn a_leader_that_has_demoted_itself_is_no_primary_while_its_lease_lasts() {
    let loaded = scenario::load_text("demotion.yaml".as_ref(), CUT_FROM_ETCD).unwrap_or_else(|e| panic!("{e:?}"));
    for seed in 1..4 {
        let events = SimWorld.play(&loaded.scenario, seed).unwrap_or_else(|e| panic!("{e}")).events;
        let (primaries, ends) = seen(&events);
        let (ended, old) = ends.first().expect("the old leader stops its server");
        assert!(primaries.iter().any(|(at, node)| node == old && at < ended), "it was the primary before");
        let late: Vec<_> = primaries.iter().filter(|(at, node)| node == old && at > ended).collect();
        assert!(late.is_empty(), "seed {seed}: {old} stopped at {ended}, and /primary was 200 at {late:?}");
    }
}
