//! When a connection is given up: user time-out, the kernel's retransmission limit, keepalive.

use std::time::Duration;

use pgdrill_net::{Net, SocketOptions};
use pgdrill_sim_engine::{Engine, HostId, SimNet, run_isolated};

use crate::peers::{
    Journal, PORT, ask, assert_about, ms, pair, patient, secs, spawn_asker, spawn_idler, with_keepalive,
};

/// Asks at 5 s and notes how that ends.
fn spawn_late_question(engine: &mut Engine, host: HostId, options: SocketOptions) -> Journal {
    let journal = Journal::default();
    let mine = journal.clone();
    engine.spawn(host, "late", move || {
        let journal = mine.clone();
        async move {
            let mut stream = SimNet.connect("server", PORT, &options).await.expect("listening");
            tokio::time::sleep(secs(5)).await;
            journal.note("asking");
            let answer = ask(&mut stream).await.map_err(|error| error.kind());
            journal.note(format!("end {answer:?}"));
        }
    });
    journal
}

/// How long after the question it failed, and how, behind a cut that is never healed.
fn failure_behind_a_cut(options: SocketOptions) -> (Duration, String) {
    run_isolated(1, move |engine| {
        let (server, client, _) = pair(engine);
        let journal = spawn_late_question(engine, client, options);
        engine.at(secs(3), move |engine| engine.cut_both(server, client));
        engine.run_until(secs(2_000));
        (journal.time_of("end") - journal.time_of("asking"), journal.words().pop().expect("an end"))
    })
}

#[test]
fn unacknowledged_data_breaks_the_connection_after_the_user_timeout() {
    let (after, how) = failure_behind_a_cut(SocketOptions { user_timeout: Some(secs(7)), ..patient() });
    assert_eq!(how, "end Err(TimedOut)");
    assert_about(after, secs(7), 1);
}

#[test]
fn without_a_user_timeout_the_kernel_retries_for_a_quarter_of_an_hour() {
    let (after, how) = failure_behind_a_cut(patient());
    assert_eq!(how, "end Err(TimedOut)");
    assert_about(after, ms(924_600), 1);
}

#[test]
fn a_missing_acknowledgement_counts_even_if_the_data_arrives() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        let options = SocketOptions { user_timeout: Some(secs(7)), ..patient() };
        let journal = spawn_late_question(engine, client, options);
        engine.at(secs(3), move |engine| engine.cut(server, client));
        engine.run_until(secs(60));
        assert_about(journal.time_of("end Err(TimedOut)"), journal.time_of("asking") + secs(7), 1);
    });
}

#[test]
fn a_short_cut_does_not_break_a_connection_with_a_longer_user_timeout() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        let options = SocketOptions { user_timeout: Some(secs(7)), ..patient() };
        let journal = spawn_late_question(engine, client, options);
        engine.at(secs(3), move |engine| engine.cut_both(server, client));
        engine.at(secs(8), move |engine| engine.heal_both(server, client));
        engine.run_until(secs(60));
        assert_eq!(journal.words(), ["asking", "end Ok(())"]);
    });
}

#[test]
fn keepalive_notices_a_silent_peer_and_nothing_else_does() {
    for (options, expected) in [
        (with_keepalive(3, 2, 3), Some((secs(3 + 2 * 3), "end Err(TimedOut)"))),
        (
            SocketOptions { user_timeout: Some(secs(5)), ..with_keepalive(3, 1, 9) },
            Some((secs(5), "end Err(TimedOut)")),
        ),
        (patient(), None),
    ] {
        let (journal, cut) = run_isolated(1, move |engine| {
            let (server, client, _) = pair(engine);
            let journal = spawn_idler(engine, client, options);
            // The idle connection was established within 20 ms: the first probe after the cut goes out at about 12 s.
            engine.at(secs(10), move |engine| engine.cut(client, server));
            engine.run_until(secs(3_000));
            (journal, secs(10))
        });
        let Some((after, how)) = expected else {
            assert_eq!(journal.count("end"), 0, "an idle connection without keepalive notices nothing");
            continue;
        };
        let connected = journal.time_of("connected");
        let ended = journal.time_of(how);
        assert!(ended > cut, "{ended:?}");
        // Probes are answered until the cut; the last answer came a multiple of the idle time after connecting.
        let last_answer = connected + secs(9);
        assert_about(ended, last_answer + after, 30);
    }
}

#[test]
fn keepalive_survives_a_cut_shorter_than_its_patience() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        let journal = spawn_idler(engine, client, with_keepalive(3, 2, 3));
        engine.at(secs(10), move |engine| engine.cut_both(client, server));
        engine.at(secs(15), move |engine| engine.heal_both(client, server));
        engine.run_until(secs(300));
        assert_eq!(journal.words(), ["connected"]);
    });
}

#[test]
fn keepalive_gets_a_reset_from_a_peer_that_has_been_restarted() {
    for (options, ends) in [(with_keepalive(5, 1, 3), 1), (patient(), 0)] {
        run_isolated(1, move |engine| {
            let (server, client, _) = pair(engine);
            let journal = spawn_idler(engine, client, options);
            engine.at(secs(7), move |engine| engine.power_off(server));
            engine.at(secs(8), move |engine| engine.power_on(server));
            engine.run_until(secs(600));
            assert_eq!(journal.count("end Err(ConnectionReset)"), ends);
            if ends == 1 {
                assert_about(journal.time_of("end"), secs(10), 30);
            }
        });
    }
}

#[test]
fn a_frozen_host_acknowledges_nothing_and_a_frozen_process_does() {
    let options = SocketOptions { user_timeout: Some(secs(4)), ..patient() };
    for whole_host in [true, false] {
        run_isolated(1, move |engine| {
            let (server, client, echo) = pair(engine);
            let journal = spawn_late_question(engine, client, options);
            engine.at(secs(3), move |engine| match whole_host {
                true => engine.freeze_host(server),
                false => engine.freeze(echo),
            });
            engine.run_until(secs(100));
            assert_eq!(journal.count("end Err(TimedOut)"), usize::from(whole_host));
            assert_eq!(journal.count("end"), usize::from(whole_host), "the kernel of a stopped process acknowledges");
        });
    }
}

#[test]
fn hundreds_of_cancelled_connects_leave_the_server_usable() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        engine.spawn(client, "impatient", || async {
            let hasty = SocketOptions { connect_timeout: ms(3), ..patient() };
            for _ in 0..300 {
                let _ = SimNet.connect("server", PORT, &hasty).await;
                tokio::time::sleep(ms(20)).await;
            }
            // All client ports once more: none may be stuck on a half-open connection.
            for _ in 0..16_384 {
                drop(SimNet.connect("server", PORT, &patient()).await.expect("the server listens"));
            }
        });
        engine.run_until(secs(400));
        let journal = spawn_asker(engine, server);
        engine.run_until(secs(402));
        engine.assert_no_faults();
        assert_eq!(journal.words(), ["ok"]);
    });
}
