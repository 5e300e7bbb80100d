//! Cuts, loss, delay, bandwidth, names.

use std::time::Duration;

use libtest_mimic::Trial;
use pgdrill_containers::faults::network::{Breakage, Network, netem::Mechanism};
use pgdrill_lab::{faults::Lateness, scenario::Route};
use tokio::time::sleep;

use crate::bench::{Bench, with_hosts};

fn route(from: &str, to: &str) -> Route {
    Route { from: from.into(), to: to.into() }
}

fn late(add_ms: u64, jitter_ms: u64) -> Breakage {
    let (add, jitter) = (Duration::from_millis(add_ms), Duration::from_millis(jitter_ms));
    Breakage::Delay(Lateness { add, jitter })
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
        of_two_delays_the_longer_counts_until_it_ends_and_both_have_their_effect,
        of_two_bandwidths_the_narrower_counts_and_two_losses_add_up,
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
        let fault = network.break_links(&both(), Breakage::Cut).await.expect("it can be cut");
        let begun = bench.trips("a").await.len();
        sleep(Duration::from_secs(2)).await;
        assert!(bench.trips("a").await.len() <= begun + 1, "nothing passes");
        assert!(network.effect(fault).await.expect("it is counted") > 0);
        network.mend(fault).await.expect("it can be mended");
        sleep(Duration::from_secs(4)).await;
        assert!(bench.trips("a").await.len() > begun + 20, "the same connection goes on");
        assert_eq!(bench.rules_left("a").await + &bench.rules_left("b").await, "");
    });
}

fn a_cut_of_one_way_leaves_the_other() {
    with_hosts("oneway", &["a", "b"], |bench| async move {
        let mut network = network(&bench);
        let fault = network.break_links(&[route("a", "b")], Breakage::Cut).await.expect("it can be cut");
        assert_eq!(bench.arrive("a", "b", 50).await, 0);
        assert_eq!(bench.arrive("b", "a", 50).await, 50);
        assert_eq!(network.effect(fault).await.expect("it is counted"), 50);
    });
}

fn a_cut_that_nothing_meets_has_no_effect() {
    with_hosts("idle", &["a", "b"], |bench| async move {
        let mut network = network(&bench);
        let fault = network.break_links(&both(), Breakage::Cut).await.expect("it can be cut");
        assert_eq!(network.effect(fault).await.expect("it is counted"), 0);
    });
}

fn loss_loses_about_as_many_packets_as_it_says() {
    with_hosts("loss", &["a", "b"], |bench| async move {
        let mut network = network(&bench);
        let fault = network.break_links(&[route("a", "b")], Breakage::Loss(0.3)).await.expect("it can be lossy");
        let arrived = bench.arrive("a", "b", 1_000).await;
        // 5.5 standard deviations: once in 26 million.
        assert!((620..=780).contains(&arrived), "{arrived} of 1,000 arrived");
        let lost = network.effect(fault).await.expect("it is counted");
        assert_eq!(lost, u64::from(1_000 - arrived), "what did not arrive was counted");
    });
}

fn a_delay_is_measured_and_keeps_a_connection_in_order() {
    with_hosts("delay", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        bench.talk("a", "b").await;
        let mut network = network(&bench);
        let delay = late(50, 20);
        let fault = network.break_links(&[route("a", "b")], delay).await.expect("it can be slow");
        let begun = bench.trips("a").await.len() + 1;
        sleep(Duration::from_secs(3)).await;
        let slow = bench.trips("a").await[begun..].to_vec();
        let mean = slow.iter().sum::<f64>() / slow.len() as f64;
        eprintln!("50 to 70 ms asked, one way: round trips of {:.1} ms on average ({})", mean * 1e3, slow.len());
        assert!(slow.len() > 10 && slow.iter().all(|trip| *trip >= 0.050), "{slow:?}");
        assert!(mean < 0.120, "{mean}");
        let held = network.mean_delay(fault).await.expect("it is counted");
        let by = network.held_by(fault).expect("something holds them");
        eprintln!("held by {by}, for {held:?} on average");
        match by {
            // The kernel counts what it has held, in the rule below, and not for how long: the trips above say that.
            Mechanism::Netem => assert_eq!(held, None),
            Mechanism::Nfqueue => {
                let held = held.expect("packets were held");
                assert!((50..90).contains(&held.as_millis()), "{held:?}");
            }
        }
        assert!(network.effect(fault).await.expect("it is counted") >= slow.len() as u64);
        network.mend(fault).await.expect("it can be mended");
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
        let delay = late(3_000, 0);
        network.break_links(&[route("a", "b")], delay).await.expect("it can be slow");
        let counting = bench.arrive("a", "b", 20);
        let cutting = async {
            sleep(Duration::from_millis(1_500)).await;
            network.break_links(&[route("a", "b")], Breakage::Cut).await.expect("it can be cut")
        };
        let (arrived, cut) = futures::join!(counting, cutting);
        assert_eq!(arrived, 0);
        assert_eq!(network.effect(cut).await.expect("it is counted"), 20);
    });
}

fn a_narrow_link_lets_so_much_pass() {
    with_hosts("narrow", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        let mut network = network(&bench);
        let narrow = Breakage::Bandwidth(100 << 10);
        let fault = network.break_links(&[route("a", "b")], narrow).await.expect("it can be narrow");
        let took = bench.send("a", "b", 409_600).await;
        eprintln!("400 KiB at 100 KiB/s took {took:.2} s");
        assert!((3.5..8.0).contains(&took), "{took}");
        assert!(network.effect(fault).await.expect("it is counted") > 0);
    });
}

fn of_two_delays_the_longer_counts_until_it_ends_and_both_have_their_effect() {
    with_hosts("overlap", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        bench.talk("a", "b").await;
        let mut network = network(&bench);
        let link = [route("a", "b")];
        // The last trip of the next 1.5 s, in seconds.
        let trip = async || {
            sleep(Duration::from_millis(1_500)).await;
            bench.trips("a").await.pop().expect("they talk")
        };
        for (first, second) in [(200, 80), (80, 200)] {
            let one = network.break_links(&link, late(first, 0)).await.expect("it can be slow");
            let two = network.break_links(&link, late(second, 0)).await.expect("it can be slow twice");
            let together = trip().await;
            assert!((0.200..0.270).contains(&together), "{first} and {second} ms: {together}");
            for fault in [one, two] {
                assert!(network.effect(fault).await.expect("it is counted") > 0, "{first} and {second} ms");
            }
            network.mend(two).await.expect("it can be mended");
            let left = trip().await;
            let wanted = first as f64 / 1e3;
            assert!(
                (wanted..wanted + 0.070).contains(&left),
                "{second} ms of {first} and {second} ms are over: {left}"
            );
            assert!(network.effect(one).await.expect("it is counted") > 0);
            network.mend(one).await.expect("it can be mended");
            let fast = trip().await;
            assert!(fast < 0.050, "{fast}");
            assert_eq!(bench.rules_left("b").await, "");
        }
    });
}

fn of_two_bandwidths_the_narrower_counts_and_two_losses_add_up() {
    with_hosts("twice", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        let mut network = network(&bench);
        let link = [route("a", "b")];
        let narrow = network.break_links(&link, Breakage::Bandwidth(100 << 10)).await.expect("it can be narrow");
        let wide = network.break_links(&link, Breakage::Bandwidth(10 << 20)).await.expect("it can be narrow twice");
        let took = bench.send("a", "b", 409_600).await;
        assert!((3.5..8.0).contains(&took), "400 KiB at 100 KiB/s took {took}");
        for fault in [narrow, wide] {
            assert!(network.effect(fault).await.expect("it is counted") > 0);
        }
        network.mend(narrow).await.expect("it can be mended");
        let took = bench.send("a", "b", 409_600).await;
        assert!(took < 2.0, "at 10 MiB/s: {took}");
        network.mend(wide).await.expect("it can be mended");
        let (one, two) = (Breakage::Loss(0.5), Breakage::Loss(0.4));
        let one = network.break_links(&link, one).await.expect("it can be lossy");
        let two = network.break_links(&link, two).await.expect("it can be lossy twice");
        let arrived = bench.arrive("a", "b", 1_000).await;
        assert!((230..=370).contains(&arrived), "30 % of 1,000: {arrived}");
        network.mend(one).await.expect("it can be mended");
        let arrived = bench.arrive("a", "b", 1_000).await;
        assert!((510..=690).contains(&arrived), "60 % of 1,000: {arrived}");
        assert!(network.effect(two).await.expect("it is counted") > 0);
        network.mend(two).await.expect("it can be mended");
        assert_eq!(bench.rules_left("b").await, "");
    });
}

fn a_longer_network_is_longer_and_a_delay_comes_on_top() {
    with_hosts("longer", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        let mut network = network(&bench);
        let ten = (Duration::from_millis(10), Duration::ZERO);
        network.lengthen(both().into_iter().map(|route| (route, ten)).collect()).await.expect("it can be longer");
        bench.talk("a", "b").await;
        let trips = bench.trips("a").await;
        assert!(trips.iter().all(|trip| (0.020..0.060).contains(trip)), "{trips:?}");
        let delay = late(30, 0);
        let fault = network.break_links(&[route("a", "b")], delay).await.expect("it can be slow");
        sleep(Duration::from_secs(1)).await;
        let slow = bench.trips("a").await.pop().expect("they talk");
        assert!((0.050..0.100).contains(&slow), "{slow}");
        network.mend(fault).await.expect("it can be mended");
        sleep(Duration::from_secs(1)).await;
        let again = bench.trips("a").await.pop().expect("they talk");
        assert!((0.020..0.045).contains(&again), "{again}");
    });
}

fn names_are_not_answered() {
    with_hosts("dns", &["a"], |bench| async move {
        let ask = "timeout 3 getent hosts a.example.invalid; timeout 20 getent hosts pgdrill-nobody; true";
        let mut network = network(&bench);
        let fault = network.silence_dns(&["a".to_owned()]).await.expect("it can be silent");
        bench.machine("a").script(ask).await.expect("getent runs");
        assert!(network.effect(fault).await.expect("it is counted") > 0);
        network.mend(fault).await.expect("it can be mended");
        assert_eq!(bench.rules_left("a").await, "");
    });
}
