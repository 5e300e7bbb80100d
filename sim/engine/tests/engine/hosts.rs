//! Power, freezing, clocks and DNS of hosts.

use std::time::{Duration, Instant, SystemTime};

use pgdrill_net::Net;
use pgdrill_sim_engine::{Dns, ExitReason, SimNet, run_isolated};
use tokio::time::{interval, sleep};

use crate::peers::{Journal, PORT, assert_about, ms, pair, patient, secs, spawn_asker};

#[test]
fn power_loss_is_silent_and_after_power_on_the_old_connection_is_reset() {
    run_isolated(1, |engine| {
        let (server, client, echo) = pair(engine);
        let journal = spawn_asker(engine, client);
        engine.at(secs(3), move |engine| engine.power_off(server));
        engine.at(secs(10), move |engine| {
            engine.power_on(server);
            assert!(!engine.is_running(echo), "nothing starts by itself");
        });
        engine.at(secs(20), move |engine| engine.start(echo));
        engine.run_until(secs(30));
        assert_eq!(engine.exits()[0].reason, ExitReason::PowerLost);
        let words = journal.words();
        assert_eq!(words[..3], ["ok", "ask no answer", "connect TimedOut"]);
        assert!(words.contains(&"connect ConnectionRefused".to_owned()), "powered without a server: {words:?}");
        assert_eq!(words.last().map(String::as_str), Some("ok"));
    });
}

#[test]
fn a_host_without_power_sends_nothing() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        spawn_asker(engine, client);
        engine.run_until(secs(3));
        engine.power_off(server);
        // What was on its way may still arrive.
        engine.run_until(ms(3_010));
        let mark = engine.link_stats(server, client);
        engine.run_until(secs(60));
        assert_eq!((engine.link_stats(server, client) - mark).passed, 0);
        assert!(engine.link_stats(client, server).held > 0);
    });
}

#[test]
fn a_frozen_host_answers_late_and_its_timers_fire_late() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        let answers = Journal::default();
        let (mine, ticks) = (answers.clone(), Journal::default());
        engine.spawn(client, "patient", move || {
            let journal = mine.clone();
            async move {
                let mut stream = SimNet.connect("server", PORT, &patient()).await.expect("listening");
                sleep(secs(2)).await;
                crate::peers::ask(&mut stream).await.expect("answered");
                journal.note("answered");
            }
        });
        let journal = ticks.clone();
        engine.spawn(server, "ticker", move || {
            let journal = journal.clone();
            async move {
                let mut ticker = interval(secs(3));
                loop {
                    let due = ticker.tick().await;
                    journal.note(format!("tick late by {} s", due.elapsed().as_secs()));
                }
            }
        });
        engine.at(secs(1), move |engine| engine.freeze_host(server));
        engine.at(secs(5), move |engine| _ = engine.thaw_host(server));
        engine.run_until(secs(7));
        assert_about(answers.time_of("answered"), secs(5), 10);
        assert_eq!(ticks.words(), ["tick late by 0 s", "tick late by 2 s", "tick late by 0 s"]);
    });
}

#[test]
fn a_clock_step_moves_wall_time_and_drift_moves_timers_too() {
    run_isolated(1, |engine| {
        let (steady, moved) = (engine.add_host("steady"), engine.add_host("moved"));
        let journal = Journal::default();
        for host in [steady, moved] {
            let journal = journal.clone();
            let name = engine.host_name(host).to_owned();
            engine.spawn(host, "clock", move || {
                let (journal, name) = (journal.clone(), name.clone());
                async move {
                    let (instant, wall) = (Instant::now(), SystemTime::now());
                    sleep(secs(100)).await;
                    let passed = SystemTime::now().duration_since(wall).unwrap_or_default();
                    journal.note(format!("{name} {} {}", instant.elapsed().as_secs(), passed.as_secs()));
                }
            });
        }
        engine.at(secs(20), move |engine| engine.step_clock(moved, 30_000_000_000));
        engine.at(secs(50), move |engine| engine.drift_clock(moved, 250_000));
        engine.run_until(secs(200));
        // The remaining 50 s take the fast clock 40.
        assert_about(journal.time_of("moved 100 130"), secs(90), 5);
        assert_about(journal.time_of("steady 100 100"), secs(100), 5);
        assert_eq!(engine.clock_error_ns(moved), 30_000_000_000 + 150 * 250_000_000);
    });
}

#[test]
fn dns_can_be_silent_or_fail_and_addresses_still_work() {
    run_isolated(1, |engine| {
        let (server, client, _) = pair(engine);
        let ip = engine.ip(server).to_string();
        let journal = Journal::default();
        let mine = journal.clone();
        engine.spawn(client, "resolving", move || {
            let (journal, ip) = (mine.clone(), ip.clone());
            async move {
                for _ in 0..3 {
                    let before = Instant::now();
                    let named = SimNet.connect("server", PORT, &patient()).await.map(drop).map_err(|e| e.kind());
                    let took: Duration = before.elapsed();
                    let addressed = SimNet.connect(&ip, PORT, &patient()).await.is_ok();
                    journal.note(format!("{named:?} after {} s, by address {addressed}", took.as_secs()));
                    sleep(secs(20)).await;
                }
            }
        });
        engine.at(secs(10), move |engine| engine.set_dns(client, Dns::Silent));
        engine.at(secs(30), move |engine| engine.set_dns(client, Dns::Fails));
        engine.run_until(secs(100));
        assert_eq!(
            journal.words(),
            [
                "Ok(()) after 0 s, by address true",
                "Err(TimedOut) after 5 s, by address true",
                "Err(Other) after 0 s, by address true"
            ]
        );
    });
}
