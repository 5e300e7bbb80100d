//! How a cluster and its members come to be.

use serde_json::json;

use super::{Situation, set};
use crate::{place::bin_dir, stage::Stage};

pub(super) const SITUATIONS: [Situation; 6] = [
    Situation::new("three_members_are_bootstrapped", three).short(),
    Situation::new("an_existing_data_directory_is_taken_over", existing).short(),
    Situation::new("a_custom_method_bootstraps", custom_bootstrap).short(),
    Situation::new("a_custom_method_that_fails_is_followed_by_the_next", custom_replica),
    Situation::new("all_members_stop_and_start_again", restarted).short(),
    Situation::new("a_second_agent_of_a_members_name_ends", duplicate),
];

fn three(stage: &mut Stage) {
    stage.cluster(3, |_| {});
    stage.until_streaming(&["pg2", "pg3"]);
    stage.record("settled");
}

/// Makes a data directory as whoever moves to Patroni has one.
fn initdb(stage: &Stage, name: &str) {
    let member = stage.of(name);
    let (dir, password) = (member.data_dir(), stage.place.write("password", crate::member::SUPERUSER));
    let [dir, password] = [dir, password].map(|path| path.to_string_lossy().into_owned());
    let arguments = ["-D", &dir, "-U", "postgres", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync", "--pwfile"];
    stage
        .place
        .postgresql("initdb", &[&arguments[..], &[&password, "--auth=scram-sha-256", "--data-checksums"]].concat());
}

fn existing(stage: &mut Stage) {
    stage.add(1, |_| {});
    initdb(stage, "pg1");
    let conf = stage.of("pg1").data_dir().join("postgresql.conf");
    let before = std::fs::read_to_string(&conf).expect("it is there");
    std::fs::write(&conf, format!("{before}\nwork_mem = 7MB\nmax_connections = 33\n")).expect("it is written");
    stage.start("pg1");
    stage.until_primary("pg1");
    // Users are the owner's business where nothing is bootstrapped.
    stage.of("pg1").run("CREATE ROLE replicator REPLICATION LOGIN PASSWORD 'replication-secret'");
    stage.of("pg1").run("CREATE ROLE rewind LOGIN PASSWORD 'rewind-secret'");
    stage.add(2, |_| {});
    stage.start("pg2");
    stage.until_streaming(&["pg2"]);
    // A standby that does not stream at once is told to read its files again; here both are, in any case.
    for name in ["pg1", "pg2"] {
        stage.of(name).run("SELECT pg_reload_conf()");
    }
    stage.record("settled");
}

/// As pgBackRest and `cp -r` do: the folder must not be there.
fn custom_bootstrap(stage: &mut Stage) {
    let backup = stage.place.folder("backup");
    stage.add(9, |file| set(file, "postgresql.data_dir", json!(backup)));
    std::fs::remove_dir(&backup).expect("it is empty");
    initdb(stage, "pg9");
    let said = stage.place.path().join("said").to_string_lossy().into_owned();
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in --datadir=*) dir=${{word#--datadir=}};; esac; done\n\
         [ -e \"$dir\" ] && {{ echo the folder is there >>{said}; exit 1; }}\n\
         echo \"$@\" >>{said}\ncp -r {} \"$dir\"\n",
        backup.display()
    );
    let script = stage.place.write("restore.sh", &script);
    let after =
        format!("#!/bin/sh\necho \"$@\" \"$PGOPTIONS\" >>{said}\nsed 's/:[^:]*$/:X/' \"$PGPASSFILE\" >>{said}\n");
    let after = stage.place.write("after.sh", &after);
    stage.add(1, |file| {
        set(file, "bootstrap.post_bootstrap", json!(format!("{} --of mine", after.display())));
        set(file, "bootstrap.method", json!("copied"));
        set(file, "bootstrap.copied", json!({ "command": script, "recovery_conf": {} }));
        file["bootstrap"]["copied"] = json!({ "command": script, "keep_existing_recovery_conf": false });
    });
    stage.of_mut("pg9").file["postgresql"]["data_dir"] = json!("/nonexistent");
    stage.start("pg1");
    stage.until_primary("pg1");
    let said = std::fs::read_to_string(stage.place.path().join("said")).unwrap_or_default();
    stage.note("what the method was told", said.lines().map(ToOwned::to_owned).collect::<Vec<_>>().into());
    stage.forget("pg9");
    stage.record("settled");
}

/// The first method fails and leaves something behind; the second one copies.
fn custom_replica(stage: &mut Stage) {
    let said = stage.place.path().join("said").to_string_lossy().into_owned();
    let failing = format!(
        "#!/bin/sh\nfor word; do case $word in --datadir=*) dir=${{word#--datadir=}};; esac; done\n\
         [ -e \"$dir\" ] && echo 'the folder is there' >>{said}\necho \"$@\" | sed 's/password=[^ ]*/password=X/' >>{said}\n\
         mkdir -p \"$dir\" && touch \"$dir/rubbish\"\nexit 1\n"
    );
    let copying = format!(
        "#!/bin/sh\nfor word; do case $word in --datadir=*) dir=${{word#--datadir=}};; --connstring=*) from=${{word#--connstring=}};; esac; done\n\
         [ -e \"$dir\" ] && echo 'the folder is there' >>{said}\necho \"$@\" | sed 's/password=[^ ]*/password=X/' >>{said}\n\
         exec {}/pg_basebackup -D \"$dir\" -d \"$from\" -c fast -X stream\n",
        bin_dir()
    );
    let (failing, copying) = (stage.place.write("failing.sh", &failing), stage.place.write("copying.sh", &copying));
    let change = move |file: &mut serde_json::Value| {
        set(file, "postgresql.create_replica_methods", json!(["failing", "copying", "basebackup"]));
        set(file, "postgresql.failing", json!({ "command": failing, "colour": "green" }));
        set(file, "postgresql.copying", json!({ "command": copying, "no_params": false }));
    };
    stage.cluster(2, change);
    stage.until_streaming(&["pg2"]);
    let said = std::fs::read_to_string(stage.place.path().join("said")).unwrap_or_default();
    stage.note("what the methods were told", said.lines().map(ToOwned::to_owned).collect::<Vec<_>>().into());
    stage.record("settled");
}

fn restarted(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    stage.until_slot_is_told("pg2");
    stage.end("pg2", libc::SIGTERM);
    stage.end("pg1", libc::SIGTERM);
    stage.record_keys("stopped");
    stage.until_gone("pg1");
    stage.until_gone("pg2");
    stage.record("their leases have ended");
    // Together they would race for the lock.
    stage.start("pg1");
    stage.until_primary("pg1");
    stage.start("pg2");
    stage.until_streaming(&["pg2"]);
    stage.record("started again");
}

fn duplicate(stage: &mut Stage) {
    stage.cluster(1, |_| {});
    stage.add(2, |file| set(file, "name", json!("pg1")));
    stage.start("pg2");
    let ended = |stage: &Stage| stage.of("pg2").log().contains("already a node named");
    stage.until("it says that the name is taken", ended);
    let code = stage.ended("pg2");
    stage.note("its exit code", json!(code));
    stage.forget("pg2");
    stage.record("settled");
}
