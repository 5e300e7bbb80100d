//! The event-driven engine of the simulated world.
//!
//! Each simulated process is an ordinary tokio runtime on `turmoil-net`'s socket stack. Entropy, clocks and the runtime's
//! sleep are replaced for the thread that simulates, so time jumps from event to event, and one seed decides everything.
//! The code inside uses `std::time`, `tokio::time` and `tokio::spawn` as in any program and sockets through [`SimNet`].
//!
//! ```
//! use std::time::Duration;
//! use pgdrill_net::{Listener, Net, SocketOptions};
//! use pgdrill_sim_engine::{SimNet, run_isolated};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let answer = run_isolated(42, |engine| {
//!     let (server, client) = (engine.add_host("server"), engine.add_host("client"));
//!     let echo = engine.spawn(server, "echo", || async {
//!         let mut listener = SimNet.listen("0.0.0.0", 7).await.expect("the port is free");
//!         while let Ok((mut stream, _)) = listener.accept().await {
//!             let mut word = [0; 5];
//!             if stream.read_exact(&mut word).await.is_ok() {
//!                 let _ = stream.write_all(&word).await;
//!             }
//!         }
//!     });
//!     let (sender, receiver) = std::sync::mpsc::channel();
//!     engine.spawn(client, "caller", move || {
//!         let sender = sender.clone();
//!         async move {
//!             let options = SocketOptions::within(Duration::from_secs(5));
//!             let mut stream = SimNet.connect("server", 7, &options).await.expect("it listens");
//!             stream.write_all(b"hello").await.expect("connected");
//!             let mut word = [0; 5];
//!             stream.read_exact(&mut word).await.expect("it answers");
//!             sender.send(word).expect("the test waits");
//!         }
//!     });
//!     engine.at(Duration::from_secs(3), move |engine| engine.kill(echo));
//!     engine.run_until(Duration::from_secs(10));
//!     receiver.try_recv()
//! });
//! assert_eq!(answer.as_ref(), Ok(b"hello"));
//! ```
//!
//! # What the seed promises
//! The same seed and the same program give the same trace, to the byte, in every thread and program. Draws have no common sequence:
//! each is decided by the seed, by what it is for and by a count that only its owner moves.
//! - The n-th packet of a connection's direction takes as long, and is lost as often, whatever other connections do. A connection goes by
//!   the process that dialled it and by how often that process had dialled that port since it started, not by its ports.
//! - Losses and jitter are drawn beside the latency: a fault that is added or left out does not draw the latency anew.
//! - A process's entropy and the order of its `select!` branches go by its host, its name and how often it was started.
//!
//! Not promised is that a fault has no consequences: a process that is stepped once more, or sends one packet more, moves its own
//! counts. Neither are the keys of std's `HashMap` a process's own: std draws them once for a thread and counts them up, for all
//! processes together. No order of a `HashMap` and nothing drawn from a `RandomState` may decide what a process does; it draws from
//! [`entropy`] or `getrandom` instead. A random-number generator that a library keeps for each thread is shared in the same way;
//! [`Engine::entropy_calls`] tells who has filled it.
//!
//! The trace's hash and all draws are algorithms of this crate in fixed form. What may change a run beside the code in it is an update
//! of tokio (which also runs the seed of `select!` through std's `DefaultHasher`) or of the socket stack.
//!
//! # What a simulated process must not do
//! Threads, `spawn_blocking`, `tokio::fs`, `tokio::net` and getaddrinfo are outside of simulated time. A process that uses
//! the blocking pool is ended with [`ExitReason::UsedThreads`]. State may be shared between processes of one host (their
//! wake-ups run at the same instant), not between hosts.
//!
//! # Where the sockets differ from Linux
//! - Connections within one host cost no time, and nothing limits how much of theirs is unread but 6 MiB.
//! - Within one host, a reset discards what was received and not yet read.
//! - A lost segment always waits for the retransmission time-out: there is no fast retransmit, and no TIME_WAIT.

#![allow(unexpected_cfgs, reason = "tokio_unstable is a flag of the whole build, not declared by any crate")]

// rustdoc reads this file without the flags of the build.
#[cfg(not(any(tokio_unstable, doc, doctest)))]
compile_error!(
    "pgdrill's simulation needs tokio's seeded scheduler: build with RUSTFLAGS=\"--cfg tokio_unstable\" \
     (.cargo/config.toml sets it inside this repository)"
);

#[cfg(not(target_os = "linux"))]
compile_error!("the simulated world runs on Linux with glibc; elsewhere use pgdrill's container image");

mod clock;
mod control;
mod engine;
mod id;
mod interpose;
mod isolated;
mod network;
mod panics;
mod program;
mod random;
mod sockets;
mod status;
mod world;

pub use control::{Control, entropy, now};
pub use engine::Engine;
pub use id::{HostId, ProcessId};
pub use isolated::run_isolated;
pub use network::{Latency, LinkStats, Trace};
pub use sockets::{SimListener, SimNet, SimStream};
pub use status::{Exit, ExitReason, ProcessStatus};
pub use world::Dns;
