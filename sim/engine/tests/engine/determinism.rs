//! One seed, one trace: the first thing to hold.

use std::{collections::HashMap, process::Command, thread};

use pgdrill_sim_engine::{Engine, run_isolated};
use tokio::time::sleep;

use crate::peers::{Journal, echo_server, ms, pair, secs, spawn_asker};

/// Uses whatever could differ between two runs: hash order, select!, entropy, clocks, several processes of one host.
async fn noisy(journal: Journal) {
    loop {
        let map: HashMap<u32, u32> = (0..50).map(|i| (i, i)).collect();
        let order: Vec<u32> = map.into_keys().collect();
        let turn = tokio::select! {
            () = std::future::ready(()) => "left",
            () = std::future::ready(()) => "right",
        };
        journal.note(format!("{turn} {order:?} {:?}", std::time::SystemTime::now()));
        sleep(ms(u64::from(order[0]) + 1)).await;
    }
}

fn with_every_fault(engine: &mut Engine) -> (u64, Vec<String>, Vec<String>) {
    engine.record_trace_lines();
    let (server, client, echo) = pair(engine);
    let third = engine.add_host("third");
    let other = engine.spawn(third, "echo", echo_server);
    let journals = [spawn_asker(engine, client), spawn_asker(engine, third), Journal::default()];
    let mine = journals[2].clone();
    engine.spawn(client, "noisy", move || noisy(mine.clone()));
    engine.set_loss(client, server, 0.1);
    engine.set_delay(server, third, ms(20), ms(30));
    engine.at(ms(1_000), move |engine| engine.cut(server, client));
    engine.at(ms(3_000), move |engine| engine.heal(server, client));
    engine.at(ms(4_000), move |engine| engine.kill(echo));
    engine.at(ms(4_500), move |engine| engine.start(echo));
    engine.at(ms(5_000), move |engine| engine.freeze_host(third));
    engine.at(ms(6_000), move |engine| _ = engine.thaw_host(third));
    engine.at(ms(7_000), move |engine| engine.drift_clock(client, -30_000));
    engine.at(ms(8_000), move |engine| engine.power_off(server));
    engine.at(ms(9_000), move |engine| {
        engine.power_on(server);
        engine.start(echo);
        engine.freeze(other);
    });
    engine.run_until(secs(15));
    engine.assert_no_faults();
    let seen = journals.iter().flat_map(Journal::entries).map(|(at, what)| format!("{at:?} {what}")).collect();
    (engine.trace().hash(), engine.trace().lines().to_vec(), seen)
}

#[test]
fn the_same_seed_does_the_same_on_every_thread() {
    let first = run_isolated(11, with_every_fault);
    assert!(first.1.len() > 1_000 && first.2.len() > 100, "too little happened to compare anything");
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(|| run_isolated(11, with_every_fault))).collect();
    for other in threads {
        let other = other.join().expect("the simulation ends");
        let difference = first.1.iter().zip(&other.1).find(|(a, b)| a != b);
        assert_eq!(difference, None, "the first difference");
        assert_eq!(first, other);
    }
}

/// Run by [`the_same_seed_does_the_same_in_another_program`] in a program of its own.
#[test]
#[ignore = "prints a hash; run by another test"]
fn print_the_hash() {
    println!("hash {:016x}", run_isolated(11, with_every_fault).0);
}

#[test]
fn the_same_seed_does_the_same_in_another_program() {
    let program = std::env::current_exe().expect("tests have a path");
    let arguments = ["--exact", "determinism::print_the_hash", "--ignored", "--nocapture"];
    let other = Command::new(program).args(arguments).output().expect("the test program can be started again");
    let expected = format!("hash {:016x}", run_isolated(11, with_every_fault).0);
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(said.contains(&expected), "{expected} is not in {said}");
}

#[test]
fn another_seed_does_something_else() {
    assert_ne!(run_isolated(1, with_every_fault).0, run_isolated(2, with_every_fault).0);
}

#[test]
fn recording_lines_changes_nothing() {
    let run = |lines: bool| {
        run_isolated(3, move |engine| {
            if lines {
                engine.record_trace_lines();
            }
            let (_, client, _) = pair(engine);
            spawn_asker(engine, client);
            engine.run_until(secs(5));
            engine.trace().hash()
        })
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn real_runtimes_keep_working_beside_a_simulation() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let before = std::time::Instant::now();
    run_isolated(1, |engine| {
        let (_, client, _) = pair(engine);
        spawn_asker(engine, client);
        engine.run_until(secs(60));
    });
    assert!(before.elapsed() < secs(30), "this thread's clock is the machine's");
    let slept = std::time::Instant::now();
    runtime.block_on(async { sleep(ms(20)).await });
    assert!((ms(20)..secs(5)).contains(&slept.elapsed()));
}
