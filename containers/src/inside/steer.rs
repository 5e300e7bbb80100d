//! Steers the fault shim of a container: `pgdrill internal steer`.

use std::{
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
};

use serde::{Deserialize, Serialize};

/// Marks a steering file, as in `fault_shim.c`.
const MAGIC: u64 = 0x6c6c_6972_6467_7001;

/// Where its fields are in the file; each has eight bytes.
const SKEW: u64 = 8;
const FSYNC: u64 = 16;
const READINGS: u64 = 24;
const FSYNCS: u64 = 32;
const WATCHDOG_TIMEOUT: u64 = 40;
const WATCHDOG_DEADLINE: u64 = 48;
const WATCHDOG_PINGS: u64 = 56;
const LENGTH: usize = 64;

/// What a steering file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// Added to the wall clock, in nanoseconds.
    pub skew_ns: i64,
    /// Slept before each fsync, in nanoseconds.
    pub fsync_ns: u64,
    /// How often a wall clock was read, with a skew or without.
    pub readings: u64,
    /// How often a slow fsync was done.
    pub fsyncs: u64,
    /// The time-out of the watchdog device, in seconds; 0 until one is set.
    pub watchdog_timeout_s: u64,
    /// When the watchdog device goes off, on the monotonic clock, in nanoseconds; 0 while it is off.
    pub watchdog_deadline_ns: u64,
    /// How often the watchdog device was kept alive.
    pub watchdog_pings: u64,
}

/// Changes to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Steps the wall clock by so many nanoseconds, on top of earlier steps.
    pub step_ns: i64,
    /// Makes fsync so many nanoseconds slower; 0 makes it fast again.
    pub fsync_ns: Option<u64>,
    /// Switches the watchdog device off, as a machine's boot does.
    pub watchdog_off: bool,
}

/// Makes the changes, in a steering file that is created if there is none, and says what it says then. Counts are left alone.
///
/// # Errors
/// When the file cannot be read or written, or is no steering file.
pub fn steer(file: &Path, change: &Change) -> io::Result<Steering> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file)?;
    let field = |at| {
        let mut bytes = [0; 8];
        open.read_exact_at(&mut bytes, at).map(|()| u64::from_ne_bytes(bytes))
    };
    if open.metadata()?.len() == 0 {
        // Every user's processes count in it.
        open.set_permissions(Permissions::from_mode(0o666))?;
        open.write_all_at(&[0; LENGTH], 0)?;
        open.write_all_at(&MAGIC.to_ne_bytes(), 0)?;
    } else if field(0)? != MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no steering file of pgdrill"));
    }
    let skew_ns = field(SKEW)?.cast_signed().saturating_add(change.step_ns);
    open.write_all_at(&skew_ns.to_ne_bytes(), SKEW)?;
    if let Some(fsync_ns) = change.fsync_ns {
        open.write_all_at(&fsync_ns.to_ne_bytes(), FSYNC)?;
    }
    if change.watchdog_off {
        open.write_all_at(&[0; 8], WATCHDOG_DEADLINE)?;
    }
    Ok(Steering {
        skew_ns,
        fsync_ns: field(FSYNC)?,
        readings: field(READINGS)?,
        fsyncs: field(FSYNCS)?,
        watchdog_timeout_s: field(WATCHDOG_TIMEOUT)?,
        watchdog_deadline_ns: field(WATCHDOG_DEADLINE)?,
        watchdog_pings: field(WATCHDOG_PINGS)?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::shim;

    /// The library and a steering file in a folder, and what `date` says with them: seconds since 1970.
    fn date(folder: &Path) -> i64 {
        let library = folder.join("shim.so");
        std::fs::write(&library, shim::LIBRARY).expect("the folder is writable");
        let date = Command::new("date")
            .arg("+%s")
            .env("LD_PRELOAD", &library)
            .env("FAULT_SHIM_STEERING", folder.join("steering"))
            .output()
            .expect("date runs");
        let text = String::from_utf8(date.stdout).expect("digits");
        text.trim().parse().unwrap_or_else(|_| panic!("{text:?} {}", String::from_utf8_lossy(&date.stderr)))
    }

    fn now() -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.expect("it is after 1970").as_secs().cast_signed()
    }

    #[test]
    fn a_real_process_sees_the_steps_of_its_wall_clock_and_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("steering");
        assert!((date(folder.path()) - now()).abs() < 5, "without a steering file the clock is true");
        steer(&file, &Change { step_ns: -300 * 1_000_000_000, ..Change::default() }).expect("it can be steered");
        let back = date(folder.path()) - now();
        assert!((-305..=-295).contains(&back), "five minutes back: {back}");
        let stepped =
            steer(&file, &Change { step_ns: 900_500_000_000, ..Change::default() }).expect("it can be steered");
        assert_eq!(stepped.skew_ns, 600_500_000_000, "steps add up");
        let ahead = date(folder.path()) - now();
        assert!((595..=606).contains(&ahead), "ten minutes ahead: {ahead}");
        let back_to_zero = Change { step_ns: -600_500_000_000, ..Change::default() };
        let before = steer(&file, &back_to_zero).expect("it can be steered");
        assert!(before.readings > stepped.readings && before.skew_ns == 0);
        assert!((date(folder.path()) - now()).abs() < 5, "the clock is true again");
        let after = steer(&file, &Change::default()).expect("it can be read");
        assert!(after.readings > before.readings, "and that it is was seen, too");
    }

    #[test]
    fn a_real_process_syncs_slowly_and_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, library) = (folder.path().join("steering"), folder.path().join("shim.so"));
        std::fs::write(&library, shim::LIBRARY).expect("the folder is writable");
        steer(&file, &Change { fsync_ns: Some(300_000_000), ..Change::default() }).expect("it can be steered");
        let began = std::time::Instant::now();
        let done = Command::new("dd")
            .args(["if=/dev/zero", "bs=1", "count=1", "conv=fsync", "status=none"])
            .arg(format!("of={}", folder.path().join("data").display()))
            .env("LD_PRELOAD", &library)
            .env("FAULT_SHIM_STEERING", &file)
            .status();
        assert!(done.expect("dd runs").success());
        assert!(began.elapsed().as_millis() >= 300);
        assert!(steer(&file, &Change::default()).expect("it can be read").fsyncs >= 1);
    }

    #[test]
    fn another_file_is_not_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("data");
        std::fs::write(&file, "something that somebody needs, longer than the few bytes of a file that steers")
            .expect("written");
        assert!(steer(&file, &Change::default()).is_err());
    }
}
