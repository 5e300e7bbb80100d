//! Cuts, loss, delay, bandwidth, names.

use std::time::Duration;

use libtest_mimic::Trial;
use pgdrill_containers::acts::network::{Network, Part, netem::Mechanism};
use pgdrill_lab::{
    player::{Lateness, LinkState},
    scenario::Route,
};
use tokio::time::sleep;

use crate::bench::{Bench, with_hosts};

fn route(from: &str, to: &str) -> Route {
    Route { from: from.into(), to: to.into() }
}

/// As a link is by nature.
const WHOLE: LinkState = LinkState { is_cut: false, late: None, loss: None, bytes_per_second: None };
const CUT: LinkState = LinkState { is_cut: true, ..WHOLE };

fn late(add_ms: u64, jitter_ms: u64) -> LinkState {
    let (add, jitter) = (Duration::from_millis(add_ms), Duration::from_millis(jitter_ms));
    LinkState { late: Some(Lateness { add, jitter }), ..WHOLE }
}

const fn lossy(probability: f64) -> LinkState {
    LinkState { loss: Some(probability), ..WHOLE }
}

const fn narrow(bytes_per_second: u64) -> LinkState {
    LinkState { bytes_per_second: Some(bytes_per_second), ..WHOLE }
}

async fn set(network: &mut Network, routes: &[Route], state: LinkState) {
    let links: Vec<(Route, LinkState)> = routes.iter().map(|route| (route.clone(), state)).collect();
    network.set(&links).await.expect("the links can be made so");
}

async fn affected(network: &Network, routes: &[Route], part: Part) -> u64 {
    network.affected(routes, part).await.expect("it is counted")
}

fn both() -> Vec<Route> {
    vec![route("a", "b"), route("b", "a")]
}

fn network(bench: &Bench) -> Network {
    Network::new(bench.machines.values().cloned())
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![
        a_cut_stops_an_established_connection_and_its_end_lets_it_go_on,
        a_cut_of_one_way_leaves_the_other,
        a_cut_that_nothing_meets_has_no_effect,
        loss_loses_about_as_many_packets_as_it_says,
        a_delay_is_measured_and_keeps_a_connection_in_order,
        a_cut_meets_packets_that_a_delay_holds,
        a_narrow_link_lets_so_much_pass,
        a_delay_that_changes_leaves_nothing_behind_and_counts_on,
        a_bandwidth_and_a_loss_can_change,
        a_longer_network_is_longer_and_a_delay_comes_on_top,
        names_are_not_answered,
    ]
}

fn a_cut_stops_an_established_connection_and_its_end_lets_it_go_on() {
    with_hosts("cut", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        bench.talk("a", "b").await;
        let mut network = network(&bench);
        let before = bench.trips("a").await.len();
        assert!(before > 5, "they talk: {before}");
        set(&mut network, &both(), CUT).await;
        let begun = bench.trips("a").await.len();
        sleep(Duration::from_secs(2)).await;
        assert!(bench.trips("a").await.len() <= begun + 1, "nothing passes");
        assert!(affected(&network, &both(), Part::Cut).await > 0);
        set(&mut network, &both(), WHOLE).await;
        sleep(Duration::from_secs(4)).await;
        assert!(bench.trips("a").await.len() > begun + 20, "the same connection goes on");
        assert_eq!(bench.rules_left("a").await + &bench.rules_left("b").await, "");
    });
}

fn a_cut_of_one_way_leaves_the_other() {
    with_hosts("oneway", &["a", "b"], |bench| async move {
        let mut network = network(&bench);
        set(&mut network, &[route("a", "b")], CUT).await;
        assert_eq!(bench.arrive("a", "b", 50).await, 0);
        assert_eq!(bench.arrive("b", "a", 50).await, 50);
        assert_eq!(affected(&network, &[route("a", "b")], Part::Cut).await, 50);
    });
}

fn a_cut_that_nothing_meets_has_no_effect() {
    with_hosts("idle", &["a", "b"], |bench| async move {
        let mut network = network(&bench);
        set(&mut network, &both(), CUT).await;
        assert_eq!(affected(&network, &both(), Part::Cut).await, 0);
    });
}

fn loss_loses_about_as_many_packets_as_it_says() {
    with_hosts("loss", &["a", "b"], |bench| async move {
        let mut network = network(&bench);
        set(&mut network, &[route("a", "b")], lossy(0.3)).await;
        let arrived = bench.arrive("a", "b", 1_000).await;
        // 5.5 standard deviations: once in 26 million.
        assert!((620..=780).contains(&arrived), "{arrived} of 1,000 arrived");
        let lost = affected(&network, &[route("a", "b")], Part::Loss).await;
        assert_eq!(lost, u64::from(1_000 - arrived), "what did not arrive was counted");
    });
}

fn a_delay_is_measured_and_keeps_a_connection_in_order() {
    with_hosts("delay", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        bench.talk("a", "b").await;
        let mut network = network(&bench);
        let link = [route("a", "b")];
        set(&mut network, &link, late(50, 20)).await;
        let begun = bench.trips("a").await.len() + 1;
        sleep(Duration::from_secs(3)).await;
        let slow = bench.trips("a").await[begun..].to_vec();
        let mean = slow.iter().sum::<f64>() / slow.len() as f64;
        eprintln!("50 to 70 ms asked, one way: round trips of {:.1} ms on average ({})", mean * 1e3, slow.len());
        assert!(slow.len() > 10 && slow.iter().all(|trip| *trip >= 0.050), "{slow:?}");
        assert!(mean < 0.120, "{mean}");
        let held = network.mean_delay(&link).await.expect("it is counted");
        let by = network.held_by(&link).expect("something holds them");
        eprintln!("held by {by}, for {held:?} on average");
        match by {
            // The kernel counts what it has held, in the rule below, and not for how long: the trips above say that.
            Mechanism::Netem => assert_eq!(held, None),
            Mechanism::Nfqueue => {
                let held = held.expect("packets were held");
                assert!((50..90).contains(&held.as_millis()), "{held:?}");
            }
        }
        assert!(affected(&network, &link, Part::Delay).await >= slow.len() as u64);
        set(&mut network, &link, WHOLE).await;
        sleep(Duration::from_secs(1)).await;
        let fast = bench.trips("a").await.pop().expect("they talk");
        assert!(fast < 0.030, "{fast}");
        assert_eq!(bench.rules_left("b").await, "");
        let left = bench.machine("b").script("sleep 0.5; pgrep -f [p]acket-delay || true").await.expect("pgrep runs");
        assert_eq!(left.trim(), "", "the queue's process has ended");
    });
}

fn a_cut_meets_packets_that_a_delay_holds() {
    with_hosts("inflight", &["a", "b"], |bench| async move {
        let mut network = network(&bench);
        let link = [route("a", "b")];
        set(&mut network, &link, late(3_000, 0)).await;
        let counting = bench.arrive("a", "b", 20);
        let cutting = async {
            sleep(Duration::from_millis(1_500)).await;
            set(&mut network, &link, LinkState { is_cut: true, ..late(3_000, 0) }).await;
        };
        let (arrived, ()) = futures::join!(counting, cutting);
        assert_eq!(arrived, 0);
        assert_eq!(affected(&network, &link, Part::Cut).await, 20);
    });
}

fn a_narrow_link_lets_so_much_pass() {
    with_hosts("narrow", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        let mut network = network(&bench);
        set(&mut network, &[route("a", "b")], narrow(100 << 10)).await;
        let took = bench.send("a", "b", 409_600).await;
        eprintln!("400 KiB at 100 KiB/s took {took:.2} s");
        assert!((3.5..8.0).contains(&took), "{took}");
        assert!(affected(&network, &[route("a", "b")], Part::Bandwidth).await > 0);
    });
}

fn a_delay_that_changes_leaves_nothing_behind_and_counts_on() {
    with_hosts("overlap", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        bench.talk("a", "b").await;
        let mut network = network(&bench);
        let link = [route("a", "b")];
        let mut before = 0;
        for ms in [200, 80, 200] {
            set(&mut network, &link, late(ms, 0)).await;
            sleep(Duration::from_millis(1_500)).await;
            let trip = bench.trips("a").await.pop().expect("they talk");
            let wanted = ms as f64 / 1e3;
            assert!((wanted..wanted + 0.070).contains(&trip), "{ms} ms: {trip}");
            let count = affected(&network, &link, Part::Delay).await;
            assert!(count > before, "{ms} ms: {count} after {before}");
            before = count;
        }
        set(&mut network, &link, WHOLE).await;
        sleep(Duration::from_millis(1_500)).await;
        let fast = bench.trips("a").await.pop().expect("they talk");
        assert!(fast < 0.050, "{fast}");
        assert!(affected(&network, &link, Part::Delay).await >= before, "what was counted stays");
        assert_eq!(bench.rules_left("b").await, "");
    });
}

fn a_bandwidth_and_a_loss_can_change() {
    with_hosts("twice", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        let mut network = network(&bench);
        let link = [route("a", "b")];
        set(&mut network, &link, narrow(100 << 10)).await;
        let took = bench.send("a", "b", 409_600).await;
        assert!((3.5..8.0).contains(&took), "400 KiB at 100 KiB/s took {took}");
        let waited = affected(&network, &link, Part::Bandwidth).await;
        assert!(waited > 0);
        set(&mut network, &link, narrow(10 << 20)).await;
        let took = bench.send("a", "b", 409_600).await;
        assert!(took < 2.0, "at 10 MiB/s: {took}");
        assert!(affected(&network, &link, Part::Bandwidth).await >= waited, "what was counted stays");
        set(&mut network, &link, lossy(0.7)).await;
        let arrived = bench.arrive("a", "b", 1_000).await;
        assert!((230..=370).contains(&arrived), "30 % of 1,000: {arrived}");
        set(&mut network, &link, lossy(0.4)).await;
        let arrived = bench.arrive("a", "b", 1_000).await;
        assert!((510..=690).contains(&arrived), "60 % of 1,000: {arrived}");
        assert!(affected(&network, &link, Part::Loss).await > 0);
        set(&mut network, &link, WHOLE).await;
        assert_eq!(bench.rules_left("b").await, "");
    });
}

fn a_longer_network_is_longer_and_a_delay_comes_on_top() {
    with_hosts("longer", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        let mut network = network(&bench);
        let ten = Lateness { add: Duration::from_millis(10), jitter: Duration::ZERO };
        network.lengthen(both().into_iter().map(|route| (route, ten)).collect()).await.expect("it can be longer");
        bench.talk("a", "b").await;
        let trips = bench.trips("a").await;
        assert!(trips.iter().all(|trip| (0.020..0.060).contains(trip)), "{trips:?}");
        set(&mut network, &[route("a", "b")], late(30, 0)).await;
        sleep(Duration::from_secs(1)).await;
        let slow = bench.trips("a").await.pop().expect("they talk");
        assert!((0.050..0.100).contains(&slow), "{slow}");
        set(&mut network, &[route("a", "b")], WHOLE).await;
        sleep(Duration::from_secs(1)).await;
        let again = bench.trips("a").await.pop().expect("they talk");
        assert!((0.020..0.045).contains(&again), "{again}");
    });
}

fn names_are_not_answered() {
    with_hosts("dns", &["a"], |bench| async move {
        let ask = "timeout 3 getent hosts a.example.invalid; timeout 20 getent hosts pgdrill-nobody; true";
        let mut network = network(&bench);
        let hosts = ["a".to_owned()];
        network.answer_names(&hosts, false).await.expect("it can be silent");
        bench.machine("a").script(ask).await.expect("getent runs");
        assert!(network.unanswered(&hosts).await.expect("it is counted") > 0);
        network.answer_names(&hosts, true).await.expect("it can be answered");
        assert_eq!(bench.rules_left("a").await, "");
    });
}
