//! Every draw is decided by what it is for: what happens elsewhere leaves it alone.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use pgdrill_net::Net;
use pgdrill_sim_engine::{Engine, HostId, SimNet, entropy, run_isolated};
use tokio::time::sleep;

use crate::peers::{Journal, PORT, ask, asker, echo_server, ms, pair, patient, secs, spawn_asker};

/// Asks `server` every 50 ms on three connections, one after the other, and notes when each answer came.
fn spawn_steady(engine: &mut Engine, host: HostId, name: &str, server: &'static str) -> Journal {
    let journal = Journal::default();
    let mine = journal.clone();
    engine.spawn(host, name, move || {
        let journal = mine.clone();
        async move {
            for _ in 0..3 {
                let mut stream = SimNet.connect(server, PORT, &patient()).await.expect("listening");
                for _ in 0..20 {
                    ask(&mut stream).await.expect("answered");
                    journal.note("answered");
                    sleep(ms(50)).await;
                }
            }
        }
    });
    journal
}

/// What may go on between A and B while C asks D.
type Elsewhere = fn(&mut Engine, HostId, HostId);

const ELSEWHERE: &[(&str, Elsewhere)] = &[
    ("nothing", |_, _, _| {}),
    ("traffic", |engine, a, _| drop(spawn_steady(engine, a, "more", "b"))),
    ("connections", |engine, a, _| {
        engine.spawn(a, "dialler", || async {
            for _ in 0..50 {
                drop(SimNet.connect("b", PORT, &patient()).await);
            }
        });
    }),
    ("loss", |engine, a, b| engine.set_loss(a, b, 0.4)),
    ("jitter", |engine, a, b| engine.set_delay(b, a, ms(3), ms(40))),
    ("a cut", |engine, a, b| {
        engine.at(ms(500), move |engine| engine.cut_both(a, b));
        engine.at(ms(1_500), move |engine| engine.heal_both(a, b));
    }),
    ("a power loss", |engine, _, b| engine.at(ms(700), move |engine| engine.power_off(b))),
    ("a host more", |engine, _, _| {
        engine.add_host("e");
    }),
];

/// When C's questions to D were answered, and every packet between the two, as sent.
fn c_and_d(elsewhere: Elsewhere) -> (Vec<(Duration, String)>, Vec<String>) {
    run_isolated(7, |engine| {
        engine.record_trace_lines();
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| engine.add_host(name));
        elsewhere(engine, a, b);
        engine.set_loss(d, c, 0.1);
        engine.set_delay(c, d, ms(2), ms(10));
        for host in [b, d] {
            engine.spawn(host, "echo", echo_server);
        }
        let mine = Journal::default();
        engine.spawn(a, "asker", move || asker("b", mine.clone()));
        let asked = spawn_steady(engine, c, "steady", "d");
        engine.run_until(secs(20));
        let between = |line: &&String| {
            let hosts = line.split_whitespace().nth(3).unwrap_or_default();
            line.contains(" packet ") && (hosts.starts_with("2:") || hosts.starts_with("3:"))
        };
        // Without its ordinal and the hash of all before it.
        let words = |line: &String| line.split_whitespace().skip(1).take(7).collect::<Vec<_>>().join(" ");
        (asked.entries(), engine.trace().lines().iter().filter(between).map(words).collect())
    })
}

#[test]
fn what_happens_between_a_and_b_changes_no_packet_between_c_and_d() {
    let (answers, packets) = c_and_d(ELSEWHERE[0].1);
    assert!(answers.len() == 60 && packets.len() > 120, "{} answers, {} packets", answers.len(), packets.len());
    for (what, elsewhere) in ELSEWHERE {
        let (also, sent) = c_and_d(*elsewhere);
        assert_eq!(packets.iter().zip(&sent).find(|(x, y)| x != y), None, "{what}: the first difference");
        assert_eq!((answers.len(), packets.len()), (also.len(), sent.len()), "{what}");
        assert_eq!(answers, also, "{what}");
    }
}

#[test]
fn a_neighbour_that_dials_the_same_port_leaves_a_process_its_latencies() {
    let run = |neighbours: u64| {
        run_isolated(7, |engine| {
            let (_, client, _) = pair(engine);
            for n in 0..neighbours {
                engine.spawn(client, &format!("neighbour {n}"), || async {
                    for _ in 0..9 {
                        drop(SimNet.connect("server", PORT, &patient()).await);
                    }
                });
            }
            let journal = spawn_steady(engine, client, "steady", "server");
            engine.run_until(secs(20));
            journal.entries()
        })
    };
    assert_eq!(run(0).len(), 60);
    assert_eq!(run(0), run(3));
}

#[test]
fn a_fault_that_is_left_out_draws_nothing_else_of_the_same_flow_anew() {
    // A loss is drawn beside the latency, not instead of it: where nothing was lost, a packet takes as long as ever.
    let run = |loss: f64| {
        run_isolated(3, |engine| {
            let (server, client, _) = pair(engine);
            engine.set_loss(client, server, loss);
            let journal = spawn_steady(engine, client, "steady", "server");
            engine.run_until(secs(100));
            let times: Vec<Duration> = journal.entries().into_iter().map(|(at, _)| at).collect();
            // Between two answers of a connection; what is in between is whole milliseconds of sleep.
            times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
        })
    };
    let (without, with) = (run(0.0), run(0.2));
    let slower = without.iter().zip(&with).filter(|(a, b)| **b >= **a + ms(190)).count();
    let same = without.iter().zip(&with).filter(|(a, b)| a.abs_diff(**b) <= ms(2)).count();
    assert!(slower > 3 && same > 20, "{slower} slower, {same} as ever");
}

/// What processes named so on these hosts draw, three times in each of two lives, while `first` does something else too.
fn drawn(first: impl Fn() + Clone + Send + Sync + 'static) -> Vec<Vec<u64>> {
    run_isolated(5, |engine| {
        let (a, b) = (engine.add_host("a"), engine.add_host("b"));
        let busy = first.clone();
        engine.spawn(a, "first", move || {
            let busy = busy.clone();
            async move {
                loop {
                    busy();
                    sleep(ms(1)).await;
                }
            }
        });
        let places = [(a, "x"), (a, "y"), (a, "x"), (b, "x")];
        let journals = places.map(|(host, name)| {
            let journal = Journal::default();
            let mine = journal.clone();
            engine.spawn(host, name, move || {
                let journal = mine.clone();
                async move {
                    for _ in 0..3 {
                        sleep(ms(10)).await;
                        journal.note(entropy().to_string());
                    }
                }
            });
            journal
        });
        engine.at(secs(1), |engine| {
            let all: Vec<_> = engine.exits().iter().map(|exit| exit.process).collect();
            all.into_iter().for_each(|process| engine.start(process));
        });
        engine.run_until(secs(2));
        engine.assert_no_faults();
        journals.map(|j| j.words().iter().map(|word| word.parse().expect("a number")).collect()).to_vec()
    })
}

#[test]
fn entropy_belongs_to_a_process_and_its_start() {
    let alone = drawn(|| {});
    assert!(alone.iter().all(|numbers| numbers.len() == 6), "{alone:?}");
    let all: std::collections::BTreeSet<u64> = alone.iter().flatten().copied().collect();
    assert_eq!(all.len(), 4 * 6, "no two draws are the same");
    let tables = || drop(std::hint::black_box((0..40).map(|n| (n, n)).collect::<HashMap<u32, u32>>()));
    assert_eq!(alone, drawn(tables), "a neighbour's tables");
    assert_eq!(alone, drawn(|| _ = std::hint::black_box(entropy())), "a neighbour's draws");
}

/// Keys of std's tables are counted by thread: what ran before, or runs beside, must not show.
#[test]
fn the_trace_does_not_depend_on_how_many_tables_the_thread_has_made() {
    let run = |tables: u64| {
        run_isolated(2, move |engine| {
            let make = move || (0..tables).for_each(|n| _ = std::hint::black_box(RandomState::new().hash_one(n)));
            make();
            engine.record_trace_lines();
            let (server, client, _) = pair(engine);
            engine.set_loss(client, server, 0.2);
            spawn_asker(engine, client);
            for n in 1..50 {
                engine.at(ms(n * 97), move |_| make());
            }
            engine.run_until(secs(5));
            (engine.trace().hash(), engine.trace().lines().to_vec())
        })
    };
    let none = run(0);
    assert!(none.1.len() > 100);
    for tables in [1, 1_000] {
        assert_eq!(none, run(tables), "{tables}");
    }
}

/// The trace's hash is an algorithm of our own over numbers in a fixed form: no toolchain and no machine changes it. What may is an
/// update of tokio or turmoil-net that takes other steps or sends other packets, or a std whose `DefaultHasher` is another (tokio runs
/// the seed of `select!` through it): then this value is another, and so is every trace.
#[test]
fn the_hash_of_a_small_run_is_this_one() {
    let hash = run_isolated(1, |engine| {
        let (_, client, _) = pair(engine);
        spawn_asker(engine, client);
        engine.spawn(client, "choosing", || async {
            loop {
                let choice = tokio::select! {
                    () = std::future::ready(()) => 10,
                    () = std::future::ready(()) => 20,
                };
                sleep(ms(choice + entropy() % 10)).await;
            }
        });
        engine.run_until(secs(1));
        (engine.trace().packets(), engine.trace().hash())
    });
    assert_eq!(hash, (43, 13_427_204_542_337_216_859));
}
