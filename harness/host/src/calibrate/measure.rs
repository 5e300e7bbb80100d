//! The measurements, in an order in which each leaves what the next one needs.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use pgdrill_agent::ports::{Postgres, StopMode};

use super::{
    CalibrationError, Durations, Plan,
    bench::{Bench, During, Server, sql, until},
};

/// So much is written to see what bytes cost: large enough to stand out from the fixed costs.
const BULK_BYTES: u64 = 192 * 1024 * 1024;

/// Whether `pg_control` names the timeline that is written.
const CHECKPOINT_IS_ON_THE_NEW_TIMELINE: &str = "SELECT timeline_id = \
    ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int FROM pg_control_checkpoint()";

/// Measures everything; `told` hears what is measured next.
///
/// # Errors
/// See [`CalibrationError`]. Nothing is left behind either way.
pub async fn measure(plan: &Plan, mut told: impl FnMut(&str)) -> Result<Durations, CalibrationError> {
    let bench = Bench::set_up(plan)?;
    let (primary, standby) = (&bench.primary, &bench.standby);
    told("initdb and start");
    let (initdb_s, start_s) = starts(primary, plan.tries).await?;
    let empty_cluster_bytes = size_of(&primary.dir);
    let session = primary.session().await?;
    let server = sql(&session, "SELECT 'PostgreSQL ' || current_setting('server_version')").await?;
    told("connections, checkpoints, fsync");
    let connect_s = connections(primary, plan.tries * 10).await?;
    sql(&session, "CREATE TABLE bulk (id bigint, filler text); CREATE TABLE small (id bigint)").await?;
    let checkpoint_s = checkpoints(primary, plan.tries).await?;
    let fsync_s = fsyncs(&primary.dir, plan.tries * 10)?;
    told("promotion and pg_rewind");
    let (promote_s, after_s, rewind_s) = promotions(primary, standby, plan.tries, checkpoint_s).await?;
    told("crash recovery");
    let (single_user_s, replay_bytes_per_s) = crashes(primary, plan.tries, start_s).await?;
    told("base backups");
    let (basebackup_s, basebackup_bytes_per_s) = backups(primary, standby, plan.tries, empty_cluster_bytes).await?;
    Ok(Durations {
        server: server.split(" (").next().unwrap_or_default().to_owned(),
        initdb_s,
        start_s,
        basebackup_s,
        basebackup_bytes_per_s,
        empty_cluster_bytes,
        rewind_s,
        replay_bytes_per_s,
        promote_s,
        checkpoint_s,
        connect_s,
        single_user_s,
        fsync_s,
        checkpoint_after_promote_s: after_s,
    })
}

/// The middle one, of an even number the mean of the two in the middle; in seconds with microseconds: more digits were noise.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    let middle = (at(times.len().saturating_sub(1) / 2) + at(times.len() / 2)) / 2;
    (middle.as_secs_f64() * 1e6).round() / 1e6
}

/// `initdb` and `start`, the last of them left running.
async fn starts(server: &Server, tries: usize) -> Result<(f64, f64), CalibrationError> {
    let (mut inits, mut starts) = (Vec::new(), Vec::new());
    for n in 0..tries {
        if n > 0 {
            server.stop(StopMode::Fast).await?;
            server.postgres.remove_data_dir().await.during("removing a data directory")?;
        }
        inits.push(server.initdb().await?);
        server.configure(None).await?;
        starts.push(server.start().await?);
    }
    Ok((median(inits), median(starts)))
}

async fn connections(server: &Server, tries: usize) -> Result<f64, CalibrationError> {
    let mut times = Vec::new();
    for _ in 0..tries {
        let began = Instant::now();
        drop(server.session().await?);
        times.push(began.elapsed());
    }
    Ok(median(times))
}

async fn checkpoints(server: &Server, tries: usize) -> Result<f64, CalibrationError> {
    let session = server.session().await?;
    let mut times = Vec::new();
    for _ in 0..tries {
        sql(&session, "INSERT INTO small SELECT generate_series(1, 20)").await?;
        let began = Instant::now();
        sql(&session, "CHECKPOINT").await?;
        times.push(began.elapsed());
    }
    Ok(median(times))
}

fn fsyncs(dir: &Path, tries: usize) -> Result<f64, CalibrationError> {
    let file = dir.join("pgdrill-fsync");
    let timed = || -> std::io::Result<Vec<Duration>> {
        let mut to = File::create(&file)?;
        let mut times = Vec::new();
        for _ in 0..tries {
            to.write_all(&[7; 8192])?;
            let began = Instant::now();
            to.sync_data()?;
            times.push(began.elapsed());
        }
        Ok(times)
    };
    let times = timed();
    // Left behind in a bench that is removed as a whole, it would still count as data.
    let _ = fs::remove_file(&file);
    times.map(median).map_err(|why| CalibrationError::Folder { dir: dir.to_owned(), why })
}

/// The standby is promoted beside the running primary, which then writes what nobody else has and is rewound; roles swap each
/// time, and in the end the primary leads alone.
async fn promotions(
    primary: &Server,
    standby: &Server,
    tries: usize,
    checkpoint_s: f64,
) -> Result<(f64, f64, f64), CalibrationError> {
    standby.postgres.basebackup(&primary.upstream()).await.during("pg_basebackup")?;
    let (mut promotes, mut afters, mut rewinds) = (Vec::new(), Vec::new(), Vec::new());
    // An even number of swaps, so that the primary is the primary again.
    for n in 0..tries.div_ceil(2) * 2 {
        let (old, new) = if n % 2 == 0 { (primary, standby) } else { (standby, primary) };
        new.configure(Some(old)).await?;
        new.start().await?;
        let session = new.session().await?;
        until(&session, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'", "1", "streaming")
            .await?;
        let began = Instant::now();
        new.postgres.promote().await.during("promoting")?;
        until(&session, "SELECT pg_is_in_recovery()", "f", "promotion").await?;
        promotes.push(began.elapsed());
        afters.push(until(&session, CHECKPOINT_IS_ON_THE_NEW_TIMELINE, "t", "checkpoint after promotion").await?);
        sql(&old.session().await?, "INSERT INTO small SELECT generate_series(1, 100)").await?;
        sql(&session, "INSERT INTO small SELECT generate_series(1, 100)").await?;
        old.stop(StopMode::Fast).await?;
        let began = Instant::now();
        old.postgres.rewind(&new.upstream()).await.during("pg_rewind")?;
        rewinds.push(began.elapsed());
    }
    standby.postgres.remove_data_dir().await.during("removing a data directory")?;
    Ok((median(promotes), (median(afters) - checkpoint_s).max(0.0), median(rewinds)))
}

/// Seconds of `postgres --single` after a crash, and how fast WAL is replayed.
async fn crashes(server: &Server, tries: usize, start_s: f64) -> Result<(f64, f64), CalibrationError> {
    let mut singles = Vec::new();
    for _ in 0..tries {
        sql(&server.session().await?, "CHECKPOINT; INSERT INTO small SELECT generate_series(1, 100)").await?;
        server.stop(StopMode::Immediate).await?;
        let began = Instant::now();
        server.postgres.single_user_recovery().await.during("postgres --single")?;
        singles.push(began.elapsed());
        server.configure(None).await?;
        server.start().await?;
    }
    let session = server.session().await?;
    let position = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')";
    let before: f64 = sql(&session, &format!("CHECKPOINT; {position}")).await?.parse().unwrap_or(0.0);
    let rows = BULK_BYTES / 1024;
    sql(&session, &format!("INSERT INTO bulk SELECT n, repeat('x', 960) FROM generate_series(1, {rows}) n")).await?;
    let written = sql(&session, position).await?.parse::<f64>().unwrap_or(0.0) - before;
    drop(session);
    server.stop(StopMode::Immediate).await?;
    let replayed_s = (server.start().await?.as_secs_f64() - start_s).max(0.001);
    Ok((median(singles), (written / replayed_s).round()))
}

/// Seconds that any base backup takes, and how fast bytes are copied: from the backup of a cluster with the bulk in it, and
/// the one without.
async fn backups(from: &Server, to: &Server, tries: usize, empty_bytes: u64) -> Result<(f64, f64), CalibrationError> {
    let session = from.session().await?;
    sql(&session, "CHECKPOINT").await?;
    let full = backup(from, to, tries).await?;
    let bulk: f64 = sql(&session, "SELECT pg_table_size('bulk')").await?.parse().unwrap_or(0.0);
    sql(&session, "TRUNCATE bulk").await?;
    sql(&session, "CHECKPOINT").await?;
    let empty = backup(from, to, tries).await?;
    let bytes_per_s = (bulk / (full - empty).max(0.001)).round();
    Ok(((empty - empty_bytes as f64 / bytes_per_s).max(0.0), bytes_per_s))
}

async fn backup(from: &Server, to: &Server, tries: usize) -> Result<f64, CalibrationError> {
    let mut times = Vec::new();
    for _ in 0..tries {
        let began = Instant::now();
        to.postgres.basebackup(&from.upstream()).await.during("pg_basebackup")?;
        times.push(began.elapsed());
        to.postgres.remove_data_dir().await.during("removing a data directory")?;
    }
    Ok(median(times))
}

/// All files below, in bytes.
fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size_of(&entry.path()),
            Ok(meta) => meta.len(),
            // The server removes files as it likes.
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle_and_of_an_even_number_the_mean_of_two() {
        let of = |times: &[u64]| median(times.iter().map(|ms| Duration::from_millis(*ms)).collect());
        assert_eq!((of(&[3, 1, 2]), of(&[10, 1, 4, 2]), of(&[7])), (0.002, 0.003, 0.007));
    }
}
