//! Looks at the watchdog device that the [fault shim](crate::shim) gives a node, and says when it will go off: a JSON line on
//! standard output whenever that changes. What goes off resets the machine, which only the lab outside can do.

use std::{io::Write, path::Path, thread::sleep, time::Duration};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::steer::{Change, steer};

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(50);

/// What the device will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// It goes off so many milliseconds after this was written; `None`: it is off.
    pub goes_off_in_ms: Option<u64>,
}

/// Looks for ever, until nobody reads any more.
///
/// # Errors
/// When standard output is closed, or there is no steering file.
pub fn watch(file: &Path) -> std::io::Result<()> {
    let mut known = None;
    let mut out = std::io::stdout().lock();
    loop {
        let deadline_ns = steer(file, &Change::default())?.watchdog_deadline_ns;
        if known != Some(deadline_ns) {
            known = Some(deadline_ns);
            writeln!(out, "{}", serde_json::to_string(&told(deadline_ns, now_ns()?))?)?;
            out.flush()?;
        }
        sleep(PERIOD);
    }
}

/// What is said of a deadline.
fn told(deadline_ns: u64, now_ns: u64) -> Told {
    Told { goes_off_in_ms: (deadline_ns != 0).then(|| deadline_ns.saturating_sub(now_ns) / 1_000_000) }
}

fn now_ns() -> std::io::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{File, OpenOptions},
        io::Write,
        os::fd::AsRawFd,
        process::Command,
    };

    use super::*;
    use crate::shim;

    // linux/watchdog.h, as the agent's own tests pin them.
    nix::ioctl_read!(support, b'W', 0, [u32; 10]);
    nix::ioctl_readwrite!(set_timeout, b'W', 6, i32);
    nix::ioctl_read!(timeout, b'W', 7, i32);

    const HELPER: &str = "inside::watchdog::tests::in_a_process_that_has_the_device";

    /// Runs the helper below with the shim and a steering file; what the device says afterwards.
    fn after(deed: &str) -> super::super::steer::Steering {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, library) = (folder.path().join("steering"), folder.path().join("shim.so"));
        std::fs::write(&library, shim::LIBRARY).expect("the folder is writable");
        steer(&file, &Change::default()).expect("it can be steered");
        let helper = Command::new(std::env::current_exe().expect("this test has a program"))
            .args([HELPER, "--exact", "--ignored", "--nocapture"])
            .env("LD_PRELOAD", &library)
            .env("FAULT_SHIM_STEERING", &file)
            .env("PGDRILL_TEST_DEED", deed)
            .output()
            .expect("it runs");
        assert!(helper.status.success(), "{}", String::from_utf8_lossy(&helper.stderr));
        steer(&file, &Change::default()).expect("it can be read")
    }

    fn deadline_s(steering: &super::super::steer::Steering) -> f64 {
        (steering.watchdog_deadline_ns as f64 - now_ns().expect("the clock runs") as f64) / 1e9
    }

    #[test]
    #[ignore = "the tests below run it as their child, with the shim"]
    fn in_a_process_that_has_the_device() {
        // Not started by hand.
        let Ok(deed) = std::env::var("PGDRILL_TEST_DEED") else { return };
        let open = || OpenOptions::new().write(true).open("/dev/null").expect("there is one");
        let arm = |device: &File, mut seconds: i32| {
            let mut about = [0; 10];
            // SAFETY: each request gets the structure or integer that it fills.
            unsafe {
                support(device.as_raw_fd(), &raw mut about).expect("it is a watchdog");
                set_timeout(device.as_raw_fd(), &raw mut seconds).expect("it takes a time-out");
                timeout(device.as_raw_fd(), &raw mut seconds).expect("it tells its time-out");
            }
            assert_eq!(about[0] & 0x180, 0x180, "magic close and a settable time-out");
            seconds
        };
        let mut device = open();
        match deed.as_str() {
            "arms" => assert_eq!(arm(&device, 25), 25),
            "is kept alive" => {
                arm(&device, 25);
                device.write_all(b"1").expect("it takes what is written");
            }
            "is closed" => {
                arm(&device, 25);
                device.write_all(b"V").expect("it takes what is written");
                drop(device);
                // The same number, and no watchdog.
                open().write_all(b"1").expect("it takes what is written");
            }
            "writes elsewhere" => device.write_all(b"1").expect("it takes what is written"),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn it_counts_from_the_moment_it_is_armed_and_on_after_its_process() {
        let armed = after("arms");
        assert_eq!(armed.watchdog_timeout_s, 25);
        assert!((20.0..=25.0).contains(&deadline_s(&armed)), "{armed:?}");
        assert_eq!(after("is kept alive").watchdog_pings, armed.watchdog_pings + 1);
    }

    #[test]
    fn only_the_magic_close_switches_it_off() {
        assert_eq!(after("is closed").watchdog_deadline_ns, 0);
    }

    #[test]
    fn who_makes_no_request_has_no_watchdog() {
        assert_eq!(after("writes elsewhere").watchdog_pings, 0);
    }

    #[test]
    fn a_deadline_is_told_as_what_is_left_of_it() {
        assert_eq!(told(0, 5_000_000), Told { goes_off_in_ms: None });
        assert_eq!(told(25_000_000, 5_000_000), Told { goes_off_in_ms: Some(20) });
        assert_eq!(told(5_000_000, 25_000_000), Told { goes_off_in_ms: Some(0) });
    }
}
