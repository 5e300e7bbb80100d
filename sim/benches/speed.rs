//! How fast the simulator is, beside stock turmoil with the same hosts, in one run, and how fast its runs are judged.
//!
//! `cargo bench -p pgdrill-sim` prints the table; `-- --quick` plays short runs, to see that it works.
//!
//! The baseline is turmoil as it comes: every host answers one request a second over a bare TCP connection and does nothing
//! else, at its default tick of 1 ms. Ours has real clients and servers aboard. So the ratio flatters turmoil.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use pgdrill_lab::{
    rules::Rules,
    scenario::{self, Scenario},
    verdict::judge,
    world::World,
};
use pgdrill_sim::SimWorld;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Simulated seconds of a run.
struct Length {
    ours: u64,
    turmoil: u64,
    /// Fifty nodes cost more.
    large: u64,
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let length =
        if quick { Length { ours: 60, turmoil: 10, large: 20 } } else { Length { ours: 300, turmoil: 60, large: 60 } };
    println!("{:<44} {:>12} {:>14} {:>8}", "", "ours", "stock turmoil", "ratio");
    println!("{:<44} {:>12} {:>14}", "", "sim s per s", "sim s per s");
    row("3 nodes, 3 etcd, HAProxy, 10 writes/s", &cluster(3, 3, 10, length.ours), 8, length.turmoil);
    row("3 nodes, 3 etcd, HAProxy, no clients", &cluster(3, 3, 0, length.ours), 7, length.turmoil);
    row("15 nodes, 3 etcd, HAProxy, 10 writes/s", &cluster(15, 3, 10, length.ours), 20, length.turmoil);
    row("50 nodes, 5 etcd, HAProxy, 10 writes/s", &cluster(50, 5, 10, length.large), 57, length.turmoil / 4);
    linear(&length);
    two_threads(&length);
    judging(&length);
    small(quick);
}

/// Clients are one writer and no reader, so that hosts and load are the baseline's.
fn cluster(nodes: u16, etcd: u16, writes: u16, duration_s: u64) -> Scenario {
    let workload = match writes {
        0 => "{ writers: 0, readers: 0 }".to_owned(),
        n => format!("{{ writers: 1, rate: {n}/s, readers: 0 }}"),
    };
    // The default, 10 of each, would leave most of a large cluster's standbys without a stream. So would Patroni's 128MB of kept
    // WAL: each base backup ends a segment of 16 MB, and a standby whose slot is not there yet needs what fifty of them left.
    let patroni =
        "{ postgresql: { parameters: { max_wal_senders: 100, max_replication_slots: 100, wal_keep_size: 2GB } } }";
    let text = format!(
        "name: bench\nabout: Nothing happens.\ncluster: {{ nodes: {nodes}, etcd: {etcd}, patroni: {patroni} }}\n\
         workload: {workload}\nduration: {duration_s}s\n"
    );
    scenario::load_text("bench.yaml".as_ref(), &text).unwrap_or_else(|e| panic!("{e:?}")).scenario
}

/// Simulated seconds per second of real time, boot and end included on both sides of the division.
fn speed(scenario: &Scenario, seed: u64) -> f64 {
    let started = Instant::now();
    let run = SimWorld.play(scenario, seed).unwrap_or_else(|e| panic!("{e}"));
    black_box(run.events.len());
    run.played_ns as f64 / 1e9 / started.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(name: &str, scenario: &Scenario, hosts: usize, turmoil_s: u64) {
    let ours = median((0..3).map(|seed| speed(scenario, seed)).collect());
    let stock = turmoil_speed(hosts, turmoil_s.max(5));
    println!("{name:<44} {ours:>12.0} {stock:>14.0} {:>7.1}x", ours / stock);
}

/// Stock turmoil: a ring of hosts, each asking the next one once a second.
fn turmoil_speed(hosts: usize, seconds: u64) -> f64 {
    let mut sim = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(seconds + 1))
        .enable_random_order()
        .rng_seed(1)
        .build();
    for n in 0..hosts {
        let next = format!("host{}", (n + 1) % hosts);
        sim.host(format!("host{n}"), move || {
            let next = next.clone();
            async move {
                tokio::spawn(serve());
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let mut stream = turmoil::net::TcpStream::connect((next.as_str(), 9)).await?;
                    stream.write_all(b"ping").await?;
                    stream.read_exact(&mut [0; 4]).await?;
                }
            }
        });
    }
    sim.client("clock", async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(())
    });
    let started = Instant::now();
    sim.run().expect("the baseline runs");
    seconds as f64 / started.elapsed().as_secs_f64()
}

async fn serve() {
    let listener = turmoil::net::TcpListener::bind("0.0.0.0:9").await.expect("the port is free");
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut word = [0; 4];
            if stream.read_exact(&mut word).await.is_ok() {
                // The asker may have gone; it is a benchmark of the happy path.
                let _ = stream.write_all(&word).await;
            }
        });
    }
}

/// Cost follows events: twice the time or twice the load is at most about twice the cost.
fn linear(length: &Length) {
    let cost = |writes, seconds| {
        let scenario = cluster(3, 3, writes, seconds);
        median(
            (0..3)
                .map(|seed| {
                    let started = Instant::now();
                    black_box(SimWorld.play(&scenario, seed).unwrap_or_else(|e| panic!("{e}")).events.len());
                    started.elapsed().as_secs_f64()
                })
                .collect(),
        )
    };
    let (one, long, loaded) = (cost(10, length.ours), cost(10, 2 * length.ours), cost(100, length.ours));
    println!("twice as long costs {:.2}x; ten times the writes cost {:.2}x", long / one, loaded / one);
}

fn two_threads(length: &Length) {
    let scenario = cluster(3, 3, 10, length.ours);
    let runs = 4;
    let timed = |threads: u64| {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let scenario = &scenario;
                scope.spawn(move || {
                    for n in 0..runs {
                        black_box(speed(scenario, thread * runs + n));
                    }
                });
            }
        });
        (threads * runs) as f64 / started.elapsed().as_secs_f64()
    };
    let (one, two) = (timed(1), timed(2));
    println!("two threads do {:.2}x the runs of one", two / one);
}

/// Judging a run costs little beside playing it, and no more for each event of a long one.
fn judging(length: &Length) {
    let cost = |seconds: u64| {
        let scenario = cluster(3, 3, 50, seconds);
        let run = SimWorld.play(&scenario, 1).unwrap_or_else(|e| panic!("{e}"));
        let rules = Rules::from(&scenario);
        let once = || {
            let started = Instant::now();
            black_box(judge(&rules, &run.events));
            started.elapsed().as_secs_f64()
        };
        (run.events.len(), median((0..5).map(|_| once()).collect()))
    };
    let ((few, short), (many, long)) = (cost(length.ours), cost(4 * length.ours));
    let growth = long / short / (many as f64 / few as f64);
    println!("{many} events are judged in {:.1} ms; each costs {growth:.2}x what it does among {few}", long * 1e3);
}

/// What a simulation costs before anything happens in it.
fn small(quick: bool) {
    let before = resident_kib();
    let runs = if quick { 5 } else { 20 };
    let scenario = cluster(3, 3, 10, 1);
    let started = Instant::now();
    for seed in 0..runs {
        black_box(SimWorld.play(&scenario, seed).unwrap_or_else(|e| panic!("{e}")).events.len());
    }
    let each = started.elapsed().as_secs_f64() * 1e3 / runs as f64;
    let grown = resident_kib().saturating_sub(before) as f64 / 1024.0;
    println!("a run of one second, bring-up of the cluster and reading of its end included: {each:.1} ms");
    println!("resident memory grew by {grown:.1} MiB over {runs} such runs");
}

fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * 4)
}
