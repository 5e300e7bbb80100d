//! How processes begin and end, and how they control each other.

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use pgdrill_net::Net;
use pgdrill_sim_engine::{Control, Exit, ExitReason, Latency, ProcessId, SimNet, run_isolated};
use tokio::{sync::Notify, time::sleep};

use crate::peers::{Journal, PORT, ask, assert_about, echo_server, ms, pair, patient, secs, spawn_asker};

#[test]
fn a_killed_server_refuses_and_a_restarted_one_can_bind_its_port_at_once() {
    run_isolated(1, |engine| {
        let (_, client, echo) = pair(engine);
        let journal = spawn_asker(engine, client);
        engine.at(secs(1), move |engine| engine.kill(echo));
        engine.at(secs(2), move |engine| engine.start(echo));
        engine.at(secs(3), move |engine| {
            engine.kill(echo);
            engine.start(echo);
        });
        engine.run_until(secs(5));
        engine.assert_no_faults();
        let words = journal.words();
        assert_eq!(words[0], "ok");
        assert!(words[1].starts_with("ask "), "the kernel closes the sockets of a killed process: {words:?}");
        assert_eq!(words[2..4], ["connect ConnectionRefused", "ok"]);
        assert_about(journal.entries()[1].0, secs(1), 150);
        assert_eq!(words.last().map(String::as_str), Some("ok"), "{words:?}");
        assert!(engine.is_running(echo));
    });
}

#[test]
fn a_frozen_process_is_silent_while_its_neighbour_runs() {
    run_isolated(1, |engine| {
        let (server, client, echo) = pair(engine);
        let journal = spawn_asker(engine, client);
        let neighbour = Journal::default();
        let mine = neighbour.clone();
        engine.spawn(server, "neighbour", move || {
            let journal = mine.clone();
            async move {
                loop {
                    journal.note("tick");
                    sleep(secs(1)).await;
                }
            }
        });
        engine.at(ms(1_500), move |engine| engine.freeze(echo));
        engine.at(ms(4_500), move |engine| _ = engine.thaw(echo));
        engine.run_until(ms(6_500));
        assert_eq!(neighbour.count("tick"), 7);
        assert_eq!(journal.words()[..2], ["ok", "ask no answer"]);
        assert_eq!(journal.words().last().map(String::as_str), Some("ok"));
    });
}

#[test]
fn every_end_is_reported_with_time_and_reason() {
    let (heard, exits) = run_isolated(1, |engine| {
        let host = engine.add_host("host");
        engine.spawn(host, "finishing", || sleep(secs(1)));
        engine.spawn(host, "panicking", || async {
            sleep(secs(2)).await;
            panic!("on purpose");
        });
        engine.spawn(host, "losing a task", || async {
            sleep(secs(3)).await;
            // Nobody ever looks at this handle.
            drop(tokio::spawn(async { panic!("in the background") }));
            sleep(secs(99)).await;
        });
        engine.spawn(host, "spinning", || async {
            sleep(secs(4)).await;
            loop {
                tokio::task::yield_now().await;
            }
        });
        engine.spawn(host, "threading", || async {
            sleep(secs(5)).await;
            let _ = tokio::task::spawn_blocking(|| ()).await;
        });
        let killed = engine.spawn(host, "killed", || sleep(secs(99)));
        engine.at(secs(6), move |engine| engine.kill(killed));
        let heard: Arc<Mutex<Vec<Exit>>> = Arc::default();
        let ear = Arc::clone(&heard);
        engine.on_exit(move |exit| ear.lock().expect("no panic holds it").push(exit.clone()));
        engine.run_until(secs(10));
        let heard = heard.lock().expect("no panic holds it").clone();
        (heard, engine.exits().to_vec())
    });
    assert_eq!(heard, exits);
    let times: Vec<_> = exits.iter().map(|exit| exit.at).collect();
    assert_eq!(times, [1, 2, 3, 4, 5, 6].map(secs));
    let reasons: Vec<&ExitReason> = exits.iter().map(|exit| &exit.reason).collect();
    assert_eq!(*reasons[0], ExitReason::Finished);
    assert!(matches!(reasons[1], ExitReason::Panicked(message) if message.starts_with("on purpose, ")));
    assert!(matches!(reasons[2], ExitReason::Panicked(message) if message.starts_with("in the background, ")));
    assert_eq!(*reasons[3], ExitReason::Livelocked);
    assert_eq!(*reasons[4], ExitReason::UsedThreads);
    assert_eq!(*reasons[5], ExitReason::Killed);
}

/// Two hosts that answer each other at once, over a network that takes next to no time: time passes, and nothing comes of it.
#[test]
fn processes_that_are_busy_all_the_time_are_ended_and_named_at_the_same_moment_every_time() {
    let play = || {
        run_isolated(1, |engine| {
            let nanosecond = std::time::Duration::from_nanos(1);
            engine.set_default_latency(Latency { min: nanosecond, max: nanosecond });
            let (_, client, _) = pair(engine);
            engine.spawn(client, "restless", || async {
                let mut stream = SimNet.connect("server", PORT, &patient()).await.expect("the server listens");
                while ask(&mut stream).await.is_ok() {}
            });
            engine.run_until(secs(3));
            let exit = engine.exits().first().expect("it was ended").clone();
            (engine.process_name(exit.process), exit.at, exit.reason, engine.steps())
        })
    };
    let (name, at, reason, steps) = play();
    assert_eq!(reason, ExitReason::Restless, "{name} at {at:?}");
    assert!(name == "client/restless" || name == "server/echo", "{name}");
    assert!(reason.is_fault() && reason.to_string().starts_with("no progress"), "{reason}");
    assert_eq!(play(), (name, at, reason, steps));
}

#[test]
fn two_processes_that_wake_each_other_for_ever_are_a_livelock() {
    run_isolated(1, |engine| {
        let host = engine.add_host("host");
        let bells: [Arc<Notify>; 2] = Default::default();
        for turn in [0, 1] {
            let bells = bells.clone();
            engine.spawn(host, "ringing", move || {
                let bells = bells.clone();
                async move {
                    loop {
                        bells[1 - turn].notify_one();
                        bells[turn].notified().await;
                    }
                }
            });
        }
        engine.run_until(secs(1));
        assert!(engine.exits().iter().any(|exit| exit.reason == ExitReason::Livelocked));
    });
}

#[test]
#[should_panic(expected = "host/panicking at 2s: panicked: on purpose")]
fn a_test_can_insist_on_no_faults() {
    run_isolated(1, |engine| {
        let host = engine.add_host("host");
        engine.spawn(host, "panicking", || async {
            sleep(secs(2)).await;
            panic!("on purpose");
        });
        engine.run_until(secs(3));
        engine.assert_no_faults();
    });
}

#[test]
#[should_panic(expected = "simulation with seed 9 at 4s: the harness is wrong")]
fn a_panic_outside_of_processes_names_seed_and_time() {
    run_isolated(9, |engine| {
        engine.add_host("host");
        engine.at(secs(4), |_| panic!("the harness is wrong"));
        engine.run_until(secs(5));
    });
}

#[test]
fn channels_between_processes_of_a_host_wake_at_the_same_instant() {
    run_isolated(1, |engine| {
        let host = engine.add_host("host");
        let (journal, bell) = (Journal::default(), Arc::new(Notify::new()));
        let (mine, listening) = (journal.clone(), Arc::clone(&bell));
        engine.spawn(host, "listening", move || {
            let (journal, bell) = (mine.clone(), Arc::clone(&listening));
            async move {
                bell.notified().await;
                journal.note("heard");
            }
        });
        let mine = journal.clone();
        engine.spawn(host, "ringing", move || {
            let (journal, bell) = (mine.clone(), Arc::clone(&bell));
            async move {
                sleep(ms(1_234)).await;
                journal.note("rung");
                bell.notify_one();
                sleep(secs(5)).await;
            }
        });
        engine.run_until(secs(3));
        assert_eq!(journal.time_of("heard"), journal.time_of("rung"));
    });
}

#[test]
fn a_process_starts_stops_and_awaits_another_of_its_host() {
    run_isolated(1, |engine| {
        let (server, client) = (engine.add_host("server"), engine.add_host("client"));
        let journal = Journal::default();
        let mine = journal.clone();
        engine.spawn(server, "agent", move || supervise(mine.clone()));
        let asker = spawn_asker(engine, client);
        engine.run_until(secs(20));
        engine.assert_no_faults();
        assert_eq!(journal.words(), ["spawned true", "Killed false", "again true", "Finished"]);
        assert_eq!(journal.time_of("Killed"), secs(3), "at the same instant");
        let words = asker.words();
        assert_eq!(words.iter().filter(|word| *word == "ok").count(), 3, "{words:?}");
    });
}

/// An agent with an echo server, which it kills at 3 s, restarts at 5 s, and freezes from 7 to 9 s.
async fn supervise(journal: Journal) {
    let control = Control::current();
    let server = control.spawn("echo", echo_server);
    journal.note(format!("spawned {}", control.is_running(server)));
    sleep(secs(3)).await;
    control.kill(server);
    let reason = control.exited(server).await;
    journal.note(format!("{reason:?} {}", control.is_running(server)));
    sleep(secs(2)).await;
    control.start(server);
    journal.note(format!("again {}", control.is_running(server)));
    sleep(secs(2)).await;
    control.freeze(server);
    sleep(secs(2)).await;
    control.thaw(server);
    let short: ProcessId = control.spawn("short", || sleep(secs(1)));
    journal.note(format!("{:?}", control.exited(short).await));
    std::future::pending::<()>().await;
}

/// Run by [`a_loop_that_never_awaits_aborts_with_the_process_name`] in a program of its own.
#[test]
#[ignore = "aborts the program; run by another test"]
fn a_loop_that_never_awaits() {
    run_isolated(1, |engine| {
        let host = engine.add_host("pg1");
        engine.set_watchdog(ms(500));
        engine.spawn(host, "stuck", || async {
            loop {
                std::hint::spin_loop();
            }
        });
        engine.run_until(secs(1));
    });
}

#[test]
fn a_loop_that_never_awaits_aborts_with_the_process_name() {
    let program = std::env::current_exe().expect("tests have a path");
    let ended = Command::new(program)
        .args(["--exact", "processes::a_loop_that_never_awaits", "--ignored", "--nocapture"])
        .output()
        .expect("the test program can be started again");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success());
    assert!(said.contains("process pg1/stuck of the simulation with seed 1 has not given control back"), "{said}");
}
