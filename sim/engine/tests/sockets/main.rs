//! What a program sees of its sockets, in the simulation and on Linux: one body per behaviour, run over both.

mod bodies;
mod place;

use std::{future::Future, pin::Pin, time::Duration};

use pgdrill_net::TokioNet;
use pgdrill_sim_engine::{SimNet, run_isolated};
use place::{Place, run_servers};

macro_rules! shared {
    ($($name:ident),* $(,)?) => {
        /// Client and server are one program on one simulated host.
        mod on_one_simulated_host {
            $(#[test] fn $name() { super::simulated(false, |place| Box::pin(super::bodies::$name(place))); })*
        }
        /// Client and server are on two simulated hosts.
        mod across_a_simulated_link {
            $(#[test] fn $name() { super::simulated(true, |place| Box::pin(super::bodies::$name(place))); })*
        }
        /// The same over the machine's own loopback: the truth.
        mod on_linux {
            $(#[test] fn $name() { super::real(super::bodies::$name(super::real_place())); })*
        }
    };
}

shared!(
    an_echo_comes_back_by_name,
    a_half_closed_connection_still_carries_the_answer,
    a_closed_port_refuses_at_once,
    an_unknown_name_is_an_error,
    closing_with_unread_bytes_resets_the_peer,
    writing_after_the_peer_has_closed_ends_in_a_broken_pipe,
    a_reset_is_reported_once_and_then_the_stream_ends,
    a_slow_reader_gets_every_byte_in_order,
    a_port_can_be_bound_again_while_its_connections_live,
    a_port_cannot_be_bound_twice,
    dropping_a_listener_resets_what_nobody_accepted,
    two_hundred_connections_at_once,
    both_ends_agree_on_the_addresses,
    shutting_down_twice_is_harmless,
);

type Body = Pin<Box<dyn Future<Output = ()> + Send>>;

fn simulated(across: bool, body: impl Fn(Place<SimNet>) -> Body + Send + Sync + 'static) {
    run_isolated(7, move |engine| {
        let (near, far) = (engine.add_host("near"), engine.add_host("far"));
        let place = Place::new(SimNet, if across { "far" } else { "near" }, across);
        if across {
            let place = place.clone();
            engine.spawn(far, "servers", move || run_servers(place.clone()));
        }
        let client = engine.spawn(near, "client", move || body(place.clone()));
        for second in 1..=120 {
            engine.run_until(Duration::from_secs(second));
            if !engine.is_running(client) {
                break;
            }
        }
        engine.assert_no_faults();
        assert!(!engine.is_running(client), "the body has not ended within two simulated minutes");
    });
}

fn real_place() -> Place<TokioNet> {
    Place::new(TokioNet, "localhost", false)
}

fn real(body: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), body).await.expect("the body ends within 20 s");
    });
}

/// Not within one simulated host: there the socket stack discards at once, as the crate's documentation says.
mod not_within_one_host {
    #[test]
    fn what_arrived_before_a_reset_can_still_be_read_across_a_simulated_link() {
        super::simulated(true, |place| Box::pin(super::bodies::what_arrived_before_a_reset_can_still_be_read(place)));
    }

    #[test]
    fn what_arrived_before_a_reset_can_still_be_read_on_linux() {
        super::real(super::bodies::what_arrived_before_a_reset_can_still_be_read(super::real_place()));
    }
}
