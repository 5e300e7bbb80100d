//! Ways of the user's own to make a cluster and a replica: `cp -r` of a backup, in a folder whose parents are not there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use serde_json::{Map, json};

use crate::{
    cluster::{Cluster, block_on, shut_down},
    machine::Place,
    member::SECRET,
};

/// Copies a backup to the data directory, which must not be there, as for pgBackRest, WAL-G and Barman. `broken` beside it makes it
/// fail halfway.
const RESTORE: &str = r#"#!/bin/sh
echo "$@" >> "$BESIDE.calls"
for argument; do
    case $argument in --datadir=*) to=${argument#--datadir=} ;; esac
done
if [ -e "$to" ]; then echo "$to is there already" >> "$BESIDE.calls"; exit 2; fi
if [ -e "$BESIDE.broken" ]; then mkdir "$to" && echo half > "$to/half of a tar"; exit 1; fi
cp -r "$BESIDE" "$to"
"#;

/// A backup, and the script that restores it.
struct Backup(PathBuf);

impl Backup {
    fn beside(&self, suffix: &str) -> PathBuf {
        self.0.with_extension(suffix)
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.beside("calls")).unwrap_or_default()
    }

    /// Of a new cluster.
    fn initdb(&self, place: &Place, bin: &str) {
        let mut command = place.command(&format!("{bin}/initdb"));
        command.arg("-D").arg(&self.0).args(["-U", "postgres", "--data-checksums", "--locale=C.UTF-8"]);
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn write(&self, place: &Place, suffix: &str, text: &str) {
        let file = self.beside(suffix);
        let written = self.beside("text");
        fs::write(&written, text).expect("it is written");
        place.install(&written, &file);
    }
}

pub(crate) fn play(bin: &str) {
    let mut cluster = Cluster::silent(bin, 2, |_, member| member);
    let backup = Backup(cluster.place.folder("backups").join("main"));
    let command = format!("{} --repo=1", backup.beside("sh").display());
    let script = RESTORE.replace("$BESIDE", &backup.0.to_string_lossy());
    backup.write(&cluster.place, "sh", &script);
    backup.initdb(&cluster.place, bin);
    for member in &mut cluster.members {
        member.node.more.data_dir = Some("deep/er/pg".into());
        member.node.more.bootstrap = Some(command.clone());
        member.node.more.replica = Some(command.clone());
    }
    cluster.start_etcd();
    failed_bootstrap(&mut cluster, &backup);
    bootstrap(&mut cluster, &backup);
    replica_without_a_leader(&mut cluster, &backup, bin);
    let leader = cluster.leader();
    shut_down(cluster, leader);
}

/// Whose recovery settings count in what a bootstrap method has restored: nobody's, so that it goes on where it was; those of the
/// configuration; or what the method wrote itself (`pgbackrest restore` does). Afterwards none of them is left.
pub(crate) fn recovery(bin: &str) {
    let target = json!({"restore_command": "false", "recovery_target_action": "promote"});
    let target = target.as_object().expect("an object");
    for (writes, keeps, configured, timeline) in [
        (true, false, Map::new(), "1"),
        (true, true, Map::new(), "2"),
        (false, false, target.clone(), "2"),
        (true, true, target.clone(), "2"),
    ] {
        let mut cluster = Cluster::silent(bin, 1, |_, member| member);
        let backup = Backup(cluster.place.folder("backups").join("main"));
        let wrote =
            "echo \"restore_command = 'false'\" >> \"$to/postgresql.auto.conf\"; touch \"$to/recovery.signal\"\n";
        let script = RESTORE.replace("$BESIDE", &backup.0.to_string_lossy()) + if writes { wrote } else { "" };
        backup.write(&cluster.place, "sh", &script);
        backup.initdb(&cluster.place, bin);
        let more = &mut cluster.members[0].node.more;
        more.bootstrap = Some(backup.beside("sh").to_string_lossy().into_owned());
        (more.keep_existing_recovery_conf, more.recovery_conf) = (keeps, configured.clone());
        cluster.start_etcd();
        cluster.start(0);
        cluster.until("it leads", || cluster.members[0].is_primary());
        let now = |statement: &str| block_on(cluster.members[0].first(statement)).expect("it answers");
        let what = format!("written: {writes}, kept: {keeps}, configured: {configured:?}");
        assert_eq!(now("SELECT timeline_id FROM pg_control_checkpoint()"), timeline, "{what}");
        // A primary that runs keeps in its file what it was started with; what counts is how it starts next.
        let (status, body) = cluster.members[0].ask("POST", "/restart", &json!({})).expect("it answers");
        assert_eq!(status, 200, "{what}: {body}");
        cluster.until("it leads again", || cluster.members[0].is_primary());
        cluster.members[0].sql.disconnect();
        assert_eq!(now("SHOW hot_standby"), "on", "{what}");
        let dir = cluster.members[0].node.data_dir();
        let left = ["postgresql.conf", "postgresql.auto.conf"]
            .map(|name| fs::read_to_string(dir.join(name)).expect("is there"));
        if left.iter().any(|conf| conf.contains("restore_command")) {
            cluster.fail(&format!("{what}: recovery settings are left: {left:?}"));
        }
        assert!(!dir.join("recovery.signal").exists(), "{what}");
        shut_down(cluster, 0);
    }
}

/// The agent ends, what the command has left is set aside as for Patroni, and the bootstrap is others' to try.
fn failed_bootstrap(cluster: &mut Cluster, backup: &Backup) {
    backup.write(&cluster.place, "broken", "");
    cluster.start(0);
    let code = cluster.members[0].agent.as_mut().expect("it was started").wait().code();
    let log = cluster.members[0].log();
    assert!(code == Some(1) && log.contains("bootstrap method restore ended with exit code 1"), "{code:?} {log}");
    let dir = cluster.members[0].node.data_dir();
    assert!(!dir.exists() && dir.with_extension("failed").join("half of a tar").exists(), "{log}");
    fs::remove_file(backup.beside("broken")).expect("it is ours");
}

fn bootstrap(cluster: &mut Cluster, backup: &Backup) {
    cluster.start(0);
    cluster.until("it leads", || cluster.members[0].is_primary());
    let calls = backup.calls();
    let dir = cluster.members[0].node.data_dir();
    let expected = format!("--repo=1 --scope=real --datadir={}", dir.display());
    assert!(calls.lines().all(|line| line == expected), "{calls}");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let parents: Vec<_> = dir.ancestors().take(3).map(mode).collect();
    assert_eq!(parents, [0o700; 3], "as initdb makes them");
    let roles = block_on(cluster.members[0].first("SELECT count(*) FROM pg_roles WHERE rolname = 'replicator'"));
    assert_eq!(roles.as_deref(), Ok("1"), "the roles of the configuration are made in what was restored");
}

/// Tried once a `loop_wait`, and nothing is left of a try that failed.
fn replica_without_a_leader(cluster: &mut Cluster, backup: &Backup, bin: &str) {
    take_a_backup(cluster, backup, bin);
    let leader = cluster.members[0].agent.as_mut().expect("it runs");
    leader.signal(libc::SIGTERM);
    assert!(leader.wait().success());
    let before = backup.calls().lines().count();
    backup.write(&cluster.place, "broken", "");
    cluster.start(1);
    let tries = |backup: &Backup| backup.calls().lines().count() - before;
    cluster.until("it tries", || tries(backup) > 0);
    let (began, first) = (std::time::Instant::now(), tries(backup));
    sleep(Duration::from_secs(12));
    let (more, loops) = (tries(backup) - first, began.elapsed().as_secs() as usize / 2);
    assert!((2..=loops + 1).contains(&more), "{more} tries in {loops} loops: {}", cluster.members[1].log());
    let dir = cluster.members[1].node.data_dir();
    fs::remove_file(backup.beside("broken")).expect("it is ours");
    cluster.until("it is made", || dir.join("PG_VERSION").exists());
    assert!(!backup.calls().contains("is there already"), "{}", backup.calls());
    let told = format!("--repo=1 --scope=real --role=replica --datadir={} --connstring=", dir.display());
    assert!(backup.calls().lines().last().is_some_and(|line| line == told), "{}", backup.calls());
    cluster.start(0);
    cluster.until("one leads, the other streams", || cluster.is_whole());
}

/// Of the cluster as it is now, in place of the one before.
fn take_a_backup(cluster: &Cluster, backup: &Backup, bin: &str) {
    fs::remove_dir_all(&backup.0).expect("it is ours");
    let address = &cluster.members[0].node.address;
    let mut command = cluster.place.command(&format!("{bin}/pg_basebackup"));
    command.env("PGPASSWORD", SECRET).args(["-h", address, "-U", "postgres", "--checkpoint=fast", "-D"]).arg(&backup.0);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
