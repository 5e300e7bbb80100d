//! The watchdog device against a pipe whose other end shows what a device would be told, and against what is no device.

use std::{fs::File, io::Read, os::unix::fs::OpenOptionsExt, path::PathBuf, time::Duration};

use pgdrill_agent::ports::{Watchdog, WatchdogError, WatchdogState};
use pgdrill_host::watchdog::Device;

const TIMEOUT: Duration = Duration::from_secs(25);

/// A pipe with its reading end open.
struct Pipe {
    _dir: tempfile::TempDir,
    path: PathBuf,
    reader: File,
}

impl Pipe {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("watchdog");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a pipe");
        let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).expect("its other end");
        Self { _dir: dir, path, reader }
    }

    /// What has arrived, and whether somebody still has it open.
    fn heard(&mut self) -> (String, bool) {
        let (mut heard, mut bytes) = (String::new(), [0; 64]);
        loop {
            match self.reader.read(&mut bytes) {
                Ok(0) => return (heard, false),
                Ok(length) => heard.push_str(std::str::from_utf8(&bytes[..length]).expect("ASCII")),
                Err(_) => return (heard, true),
            }
        }
    }
}

#[test]
fn it_is_opened_kept_alive_and_closed_with_the_magic_character() {
    let mut pipe = Pipe::new();
    let device = Device::or_substitute(&pipe.path);
    assert_eq!(device.state(), WatchdogState::Inactive);
    assert_eq!(pipe.heard(), (String::new(), false), "looking at it must not open it");
    device.activate(TIMEOUT).expect("a pipe will do");
    assert_eq!(device.state(), WatchdogState::Active { timeout: TIMEOUT });
    assert_eq!(pipe.heard(), ("1".into(), true));
    device.keepalive(TIMEOUT).expect("it is open");
    device.keepalive(TIMEOUT).expect("it is open");
    assert_eq!(pipe.heard(), ("11".into(), true));
    device.disable().expect("it can be stopped");
    assert_eq!(pipe.heard(), ("V".into(), false));
    assert_eq!(device.state(), WatchdogState::Inactive);
}

#[test]
fn an_agent_that_dies_leaves_it_counting() {
    let mut pipe = Pipe::new();
    let device = Device::or_substitute(&pipe.path);
    device.activate(TIMEOUT).expect("a pipe will do");
    drop(device);
    assert_eq!(pipe.heard(), ("1".into(), false), "closed without the magic character");
}

#[test]
fn a_new_time_out_does_not_open_it_anew() {
    let mut pipe = Pipe::new();
    let device = Device::or_substitute(&pipe.path);
    device.activate(TIMEOUT).expect("a pipe will do");
    device.activate(TIMEOUT * 2).expect("it is open");
    assert_eq!(device.state(), WatchdogState::Active { timeout: TIMEOUT * 2 });
    assert_eq!(pipe.heard(), ("11".into(), true));
}

#[test]
fn what_is_no_watchdog_is_refused_with_its_name() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for (path, why) in [
        (PathBuf::from("/dev/null"), "it is no watchdog device"),
        (file, "it is no character device"),
        (folder.path().join("missing"), "No such file"),
    ] {
        let Err(WatchdogError::Unavailable(text)) = Device::new(&path).activate(TIMEOUT) else {
            panic!("{} passed for a watchdog", path.display());
        };
        assert!(text.contains(why) && text.contains(&path.display().to_string()), "{text}");
    }
    assert_eq!(Device::new(folder.path().join("missing")).state(), WatchdogState::Unavailable);
}

#[test]
fn a_time_out_that_no_device_can_have_is_refused_and_the_device_stopped() {
    let mut pipe = Pipe::new();
    let device = Device::or_substitute(&pipe.path);
    for timeout in [Duration::from_millis(900), Duration::from_secs(65_535)] {
        assert!(matches!(device.activate(timeout), Err(WatchdogError::Refused(_))), "{timeout:?}");
        assert_eq!(pipe.heard(), ("V".into(), false));
    }
}

#[test]
fn one_that_is_not_active_needs_no_keepalive_and_no_stop() {
    let device = Device::new("/nonexistent/watchdog");
    device.keepalive(TIMEOUT).expect("nothing to do");
    device.disable().expect("nothing to do");
}
