//! Programs to put on hosts, and a journal of what they saw.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use pgdrill_net::{Keepalive, Listener, Net, SocketOptions};
use pgdrill_sim_engine::{Engine, HostId, ProcessId, SimNet, SimStream, now};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

pub const PORT: u16 = 5432;

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What programs saw, with simulated time.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<(Duration, String)>>>);

impl Journal {
    pub fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("no panic holds it").push((now(), what.into()));
    }

    pub fn entries(&self) -> Vec<(Duration, String)> {
        self.0.lock().expect("no panic holds it").clone()
    }

    pub fn words(&self) -> Vec<String> {
        self.entries().into_iter().map(|(_, what)| what).collect()
    }

    /// When the first entry that starts with `what` was made.
    pub fn time_of(&self, what: &str) -> Duration {
        let entries = self.entries();
        let found = entries.iter().find(|(_, entry)| entry.starts_with(what));
        found.unwrap_or_else(|| panic!("no {what} in {entries:#?}")).0
    }

    pub fn count(&self, what: &str) -> usize {
        self.entries().iter().filter(|(_, entry)| entry.starts_with(what)).count()
    }
}

/// Neither keepalive nor user time-out: what the kernel does by itself.
pub fn patient() -> SocketOptions {
    SocketOptions { connect_timeout: secs(5), keepalive: None, user_timeout: None }
}

pub fn with_keepalive(idle: u64, interval: u64, count: u32) -> SocketOptions {
    let keepalive = Keepalive { idle: secs(idle), interval: secs(interval), count };
    SocketOptions { keepalive: Some(keepalive), ..patient() }
}

/// Answers every byte with itself, on every connection.
pub async fn echo_server() {
    let mut listener = SimNet.listen("0.0.0.0", PORT).await.expect("the port is free");
    loop {
        let (mut stream, _) = listener.accept().await.expect("listening");
        tokio::spawn(async move {
            let mut byte = [0];
            while let Ok(1) = stream.read(&mut byte).await {
                if stream.write_all(&byte).await.is_err() {
                    break;
                }
            }
        });
    }
}

pub async fn ask(stream: &mut SimStream) -> io::Result<()> {
    stream.write_all(b"?").await?;
    stream.read_exact(&mut [0]).await.map(drop)
}

/// Asks every 100 ms, each question within a second, reconnecting when it fails; notes every change of fortune.
pub async fn asker(server: &'static str, journal: Journal) {
    let mut last = String::new();
    loop {
        let fortune = match SimNet.connect(server, PORT, &patient()).await {
            Err(error) => format!("connect {:?}", error.kind()),
            Ok(mut stream) => loop {
                match timeout(secs(1), ask(&mut stream)).await {
                    Ok(Ok(())) if last != "ok" => {
                        last = "ok".to_owned();
                        journal.note("ok");
                    }
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break format!("ask {:?}", error.kind()),
                    Err(_) => break "ask no answer".to_owned(),
                }
                sleep(ms(100)).await;
            },
        };
        if fortune != last {
            journal.note(fortune.as_str());
            last = fortune;
        }
        sleep(ms(100)).await;
    }
}

/// Connects and waits for the end of the connection, which it notes.
pub async fn idler(server: &'static str, options: SocketOptions, journal: Journal) {
    let mut stream = SimNet.connect(server, PORT, &options).await.expect("the server listens");
    journal.note("connected");
    let read = stream.read(&mut [0]).await;
    journal.note(format!("end {:?}", read.map_err(|error| error.kind())));
    std::future::pending::<()>().await;
}

/// A server and a client host, the server running.
pub fn pair(engine: &mut Engine) -> (HostId, HostId, ProcessId) {
    let (server, client) = (engine.add_host("server"), engine.add_host("client"));
    let process = engine.spawn(server, "echo", echo_server);
    (server, client, process)
}

/// An asker on `host`.
pub fn spawn_asker(engine: &mut Engine, host: HostId) -> Journal {
    let journal = Journal::default();
    let mine = journal.clone();
    engine.spawn(host, "asker", move || asker("server", mine.clone()));
    journal
}

/// An idler on `host`.
pub fn spawn_idler(engine: &mut Engine, host: HostId, options: SocketOptions) -> Journal {
    let journal = Journal::default();
    let mine = journal.clone();
    engine.spawn(host, "idler", move || idler("server", options, mine.clone()));
    journal
}

/// `actual` is within `tolerance_ms` after `expected`.
#[track_caller]
pub fn assert_about(actual: Duration, expected: Duration, tolerance_ms: u64) {
    let late = actual.checked_sub(expected);
    assert!(late.is_some_and(|late| late <= ms(tolerance_ms)), "{actual:?} is not {expected:?} (+ {tolerance_ms} ms)");
}
