//! A full disk: a ballast file on the host's data volume, which has a limited size. Whatever is freed is taken at once, so that
//! the disk stays full until it is freed.

use crate::machine::{Machine, Trouble};

/// The ballast, beside the data directory.
const BALLAST: &str = ".pgdrill-ballast";

/// Holds the process group of who fills the volume.
const FILLER: &str = "/run/pgdrill-filler.pid";

/// What a failed write says.
const NO_SPACE: &str = "No space left on device";

/// Fills the volume that is mounted there; what a write of one page says then.
///
/// # Errors
/// When the volume cannot be filled: a write still succeeds.
pub async fn fill(machine: &Machine, mounted: &str) -> Result<String, Trouble> {
    let ballast = format!("{mounted}/{BALLAST}");
    // `fallocate` takes most of it at once, `cat` the rest, now and whenever something is freed.
    let script = format!(
        "fallocate -l $(df --output=avail -B1 {mounted} | tail -n 1) {ballast} 2>/dev/null; \
         cat /dev/zero >> {ballast} 2>/dev/null; \
         setsid sh -c 'echo $$ > {FILLER}; while :; do cat /dev/zero >> {ballast}; sleep 0.1; done' \
         </dev/null >/dev/null 2>&1 &"
    );
    machine.script(&script).await?;
    let said = probe(machine, mounted).await?;
    if said.contains(NO_SPACE) {
        return Ok(format!("a write of 8 kB failed: {NO_SPACE}"));
    }
    Err(machine.trouble(format!("{mounted} is full and can still be written to: {said}")))
}

/// Frees it; whether there was something to free.
///
/// # Errors
/// When a write still fails.
pub async fn free(machine: &Machine, mounted: &str) -> Result<bool, Trouble> {
    // The filler goes first, and what it has open with it: else it would take what is freed.
    let script = format!(
        "if test -s {FILLER}; then filler=$(cat {FILLER}); kill -9 -$filler || exit 1; rm {FILLER}; \
         while pgrep -g $filler >/dev/null; do sleep 0.02; done; fi; \
         test -e {mounted}/{BALLAST} && rm {mounted}/{BALLAST} && echo freed; true"
    );
    let freed = machine.script(&script).await?.contains("freed");
    let said = probe(machine, mounted).await?;
    if said.contains(NO_SPACE) {
        return Err(machine.trouble(format!("{mounted} was freed and is still full: {said}")));
    }
    Ok(freed)
}

async fn probe(machine: &Machine, mounted: &str) -> Result<String, Trouble> {
    let file = format!("{mounted}/.pgdrill-probe");
    machine.script(&format!("dd if=/dev/zero of={file} bs=8192 count=1 2>&1; rm -f {file}")).await
}
