//! What systemd is told, on a socket in systemd's place. One test only: the socket's name is in the environment of the process.

use std::{os::unix::net::UnixDatagram, time::Duration};

use pgdrill_agent::ports::{AgentEvent, NoObserver, Observer};
use pgdrill_host::systemd::{self, Notifying};

/// Everything that has arrived, a line each.
fn heard(socket: &UnixDatagram) -> Vec<String> {
    let (mut lines, mut bytes) = (vec![], [0; 4096]);
    while let Ok(length) = socket.recv(&mut bytes) {
        let text = std::str::from_utf8(&bytes[..length]).expect("text");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

#[test]
fn systemd_learns_readiness_role_lock_reload_and_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
    // SAFETY: the only test of this process, and nothing else reads the environment meanwhile.
    unsafe {
        std::env::set_var("NOTIFY_SOCKET", &path);
        std::env::set_var("WATCHDOG_USEC", "30000000");
        std::env::set_var("WATCHDOG_PID", std::process::id().to_string());
    }
    let observer = Notifying::new(NoObserver);
    observer.event(AgentEvent::Started { name: "pg1".into(), adopted: false });
    assert!(heard(&socket).is_empty(), "it is not ready before its loop has turned once");

    observer.turned();
    let first = heard(&socket);
    assert!(first.contains(&"READY=1".to_owned()) && first.contains(&"WATCHDOG=1".to_owned()), "{first:?}");

    observer.event(AgentEvent::Role { from: String::new(), to: "replica".into() });
    observer.event(AgentEvent::Role { from: "replica".into(), to: "primary".into() });
    observer.event(AgentEvent::Lock { held: true, reason: "acquired".into() });
    let status = heard(&socket);
    assert_eq!(status.last().map(String::as_str), Some("STATUS=primary, holds the leader lock"), "{status:?}");

    systemd::reloading();
    let reload = heard(&socket);
    assert!(reload[0] == "RELOADING=1" && reload[1].starts_with("MONOTONIC_USEC="), "{reload:?}");
    observer.turned();
    assert!(heard(&socket).contains(&"READY=1".to_owned()), "a reload ends with being ready");

    systemd::stopping();
    observer.event(AgentEvent::Stopped { reason: "asked to".into() });
    observer.event(AgentEvent::Lock { held: false, reason: "given away".into() });
    let end = heard(&socket);
    assert!(end.contains(&"STOPPING=1".to_owned()) && !end.iter().any(|line| line.contains("primary")), "{end:?}");
}
