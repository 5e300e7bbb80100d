//! Latency, delay, loss and cuts.

use pgdrill_net::{Listener, Net, SocketOptions};
use pgdrill_sim_engine::{Latency, LinkStats, SimNet, run_isolated};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peers::{Journal, PORT, ask, assert_about, ms, pair, patient, secs, spawn_asker};

#[test]
fn a_question_takes_two_latencies_and_the_set_delay() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        engine.set_default_latency(Latency { min: ms(10), max: ms(10) });
        engine.set_delay(client, server, ms(300), ms(0));
        let journal = Journal::default();
        let mine = journal.clone();
        engine.spawn(client, "once", move || {
            let journal = mine.clone();
            async move {
                let mut stream = SimNet.connect("server", PORT, &patient()).await.expect("listening");
                journal.note("connected");
                ask(&mut stream).await.expect("answered");
                journal.note("answered");
            }
        });
        engine.run_until(secs(3));
        assert_about(journal.time_of("connected"), ms(320), 0);
        assert_about(journal.time_of("answered"), ms(640), 0);
        assert!(engine.link_stats(client, server).delayed > 0);
        assert_eq!(engine.link_stats(server, client).affected(), 0, "the other direction is not slowed");
    });
}

#[test]
fn a_cut_holds_and_a_healed_one_continues_at_the_next_retransmission() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        let journal = Journal::default();
        let mine = journal.clone();
        engine.spawn(client, "patient", move || {
            let journal = mine.clone();
            async move {
                let mut stream = SimNet.connect("server", PORT, &patient()).await.expect("listening");
                tokio::time::sleep_until(tokio::time::Instant::now() + secs(2)).await;
                journal.note("asking");
                ask(&mut stream).await.expect("answered after all");
                journal.note("answered");
            }
        });
        engine.at(secs(1), move |engine| engine.cut_both(server, client));
        engine.at(secs(9), move |engine| engine.heal_both(server, client));
        let mark = engine.link_stats(client, server);
        engine.run_until(secs(30));
        // Retransmissions 0.2, 0.6, 1.4, 3.0, 6.2, 12.6 s after the question: the first after healing is the last of these.
        assert_about(journal.time_of("answered"), journal.time_of("asking") + ms(12_600), 20);
        assert_eq!((engine.link_stats(client, server) - mark).held, 1);
        engine.assert_no_faults();
    });
}

#[test]
fn a_one_way_cut_lets_questions_through_and_holds_answers() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        let journal = spawn_asker(engine, client);
        engine.at(secs(1), move |engine| engine.cut(server, client));
        engine.run_until(secs(5));
        assert_eq!(journal.words()[..2], ["ok", "ask no answer"]);
        assert!(engine.link_stats(server, client).held > 0);
        assert_eq!(engine.link_stats(client, server).held, 0);
    });
}

#[test]
fn connecting_through_a_cut_times_out_and_a_healed_cut_lets_the_next_syn_through() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        engine.cut_both(server, client);
        let journal = Journal::default();
        let mine = journal.clone();
        engine.spawn(client, "connecting", move || {
            let journal = mine.clone();
            async move {
                let short = SocketOptions { connect_timeout: secs(2), ..patient() };
                let error = SimNet.connect("server", PORT, &short).await.expect_err("cut");
                journal.note(format!("{:?}", error.kind()));
                let long = SocketOptions { connect_timeout: secs(20), ..patient() };
                SimNet.connect("server", PORT, &long).await.expect("healed");
                journal.note("connected");
            }
        });
        engine.at(secs(6), move |engine| engine.heal_both(server, client));
        engine.run_until(secs(60));
        assert_about(journal.time_of("TimedOut"), secs(2), 5);
        // The second SYN leaves at 2 s, and again after 1 and 3 and 7 seconds.
        assert_about(journal.time_of("connected"), secs(9), 20);
    });
}

#[test]
fn a_cut_catches_packets_in_flight() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        engine.set_default_latency(Latency { min: ms(400), max: ms(400) });
        engine.spawn(client, "connecting", || async {
            let _stream = SimNet.connect("server", PORT, &patient()).await;
        });
        engine.at(ms(300), move |engine| engine.cut(client, server));
        engine.run_until(ms(399));
        assert_eq!(engine.link_stats(client, server), LinkStats::default());
        engine.run_until(ms(401));
        assert_eq!(engine.link_stats(client, server), LinkStats { held: 1, ..LinkStats::default() });
    });
}

#[test]
fn loss_delays_a_stream_and_never_tears_it() {
    run_isolated(5, |engine| {
        let (server, client, _) = pair(engine);
        engine.set_loss(client, server, 0.3);
        engine.set_loss(server, client, 0.3);
        let journal = Journal::default();
        let mine = journal.clone();
        engine.spawn(client, "counting", move || {
            let journal = mine.clone();
            async move {
                let options = SocketOptions { connect_timeout: secs(60), ..patient() };
                let mut stream = SimNet.connect("server", PORT, &options).await.expect("not all is lost");
                for _ in 0..200 {
                    ask(&mut stream).await.expect("a stream without holes");
                }
                journal.note("done");
            }
        });
        engine.run_until(secs(600));
        engine.assert_no_faults();
        assert!(journal.time_of("done") > secs(20), "a loss costs at least 200 ms");
        assert!(engine.link_stats(client, server).delayed > 30);
    });
}

#[test]
fn a_reader_that_falls_behind_stops_the_sender_until_it_catches_up() {
    const BYTES: usize = 10_000_000;
    run_isolated(5, |engine| {
        let (server, client) = (engine.add_host("server"), engine.add_host("client"));
        let journal = Journal::default();
        let (reading, writing) = (journal.clone(), journal.clone());
        engine.spawn(server, "reader", move || {
            let journal = reading.clone();
            async move {
                let mut listener = SimNet.listen("0.0.0.0", PORT).await.expect("the port is free");
                let (mut stream, _) = listener.accept().await.expect("a client");
                tokio::time::sleep(secs(60)).await;
                let (mut total, mut piece) = (0, [0; 3_000]);
                while let Ok(count @ 1..) = stream.read(&mut piece).await {
                    total += count;
                }
                journal.note(format!("read {total}"));
            }
        });
        engine.spawn(client, "writer", move || {
            let journal = writing.clone();
            async move {
                let mut stream = SimNet.connect("server", PORT, &patient()).await.expect("listening");
                stream.write_all(&vec![7; BYTES]).await.expect("a patient kernel");
                journal.note("written");
            }
        });
        engine.run_until(secs(100));
        engine.assert_no_faults();
        assert!(journal.time_of("written") > secs(60), "six of ten megabytes fit into the receiver's buffer");
        journal.time_of(&format!("read {BYTES}"));
    });
}

#[test]
fn an_address_that_no_host_has_does_not_answer() {
    run_isolated(1, |engine| {
        let (_, client, _) = pair(engine);
        let journal = Journal::default();
        let mine = journal.clone();
        engine.spawn(client, "lost", move || {
            let journal = mine.clone();
            async move {
                for address in ["192.168.77.77", "10.1.2.3"] {
                    let error = SimNet.connect(address, PORT, &patient()).await.expect_err("nobody is there");
                    journal.note(format!("{:?}", error.kind()));
                }
            }
        });
        engine.run_until(secs(30));
        engine.assert_no_faults();
        assert_eq!(journal.words(), ["TimedOut", "TimedOut"]);
    });
}

#[test]
fn a_fault_that_meets_no_packet_shows_none() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        engine.run_until(secs(1));
        let mark = engine.link_stats(client, server);
        engine.cut_both(server, client);
        engine.run_until(secs(10));
        assert_eq!((engine.link_stats(client, server) - mark).affected(), 0);
    });
}
