//! Settings in every spelling, in every place, and with values that are replaced.

use pgdrill_settings::Dynamic;
use serde_json::json;

use super::{Environment, File, LEAST, said, variables};

/// `slots` and `ignore_slots` are one level above `postgresql`; as a node's own they are nowhere.
#[test]
fn a_misplaced_name_is_told_where_it_belongs_and_nowhere_else() {
    let own = |section: &str| LEAST.replace("  data_dir: /data", &format!("  data_dir: /data\n  {section}"));
    let texts = [
        include_str!("misplaced.yml").to_owned(),
        own("slots: { pg2: { type: physical } }"),
        own("ttl: 30"),
        own("shared_buffers: 1GB"),
        own("nofailover: true"),
        LEAST.replace("scope: demo", "scope: demo\ncallbacks: { on_start: /x }\nmax_connections: 100"),
        format!(
            "{LEAST}bootstrap: {{ dcs: {{ use_slots: true, work_mem: 4MB, postgresql: {{ data_dir: /x, listen: a }} }} }}\n"
        ),
        format!("{LEAST}watchdog: {{ mode: off, failsafe_mode: true }}\n"),
    ];
    insta::assert_snapshot!(texts.iter().map(|text| said(text)).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn what_will_be_replaced_is_told_and_what_makes_no_sense_is_refused() {
    let own = |parameters: &str| {
        LEAST.replace("  data_dir: /data", &format!("  data_dir: /data\n  parameters: {parameters}"))
    };
    let dynamic =
        |parameters: &str| format!("{LEAST}bootstrap: {{ dcs: {{ postgresql: {{ parameters: {parameters} }} }} }}\n");
    let texts = [
        include_str!("replaced.yml").to_owned(),
        dynamic("{ max_connections: many, work_mem: 4mb, wal_keep_segments: 16, shared_bufers: 1GB }"),
        dynamic("{ max_connections: 1000000, checkpoint_timeout: 1s, primary_conninfo: 'password=hush' }"),
        own("{ work_mem: many, wal_keep_size: 1GB, maintenance_work_mem: 1kB, fsync: maybe, restore_command: cp }"),
        format!("{LEAST}bootstrap: {{ dcs: {{ postgresql: {{ pg_hba: local all all trust }} }} }}\n"),
        LEAST.replace(
            "  data_dir: /data",
            "  data_dir: /data\n  pg_hba: local all all trust\n  recovery_conf: { work_mem: 1 }",
        ),
    ];
    insta::assert_snapshot!(texts.iter().map(|text| said(text)).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn numbers_and_switches_may_be_written_as_text() {
    let file = File::with(include_str!("quoted.yml"));
    let loaded = file.read().map_err(|problems| file.said(&problems)).expect("it is accepted");
    let read = Dynamic::of(&loaded.config.bootstrap.expect("it is there").dcs);
    assert_eq!((read.timing.ttl, read.timing.loop_wait, read.timing.retry_timeout), (40, 5, 7));
    assert_eq!((read.is_synchronous(), read.synchronous_mode_strict, read.synchronous_node_count), (true, true, 2));
    assert!(read.failsafe_mode && read.use_slots);
    assert_eq!((read.maximum_lag_on_failover, read.primary_start_timeout), (10_485_760, 300));

    let text = LEAST.replace("data_dir: /data", "data_dir: /data\n  pg_ctl_timeout: '0x5A'\n  use_pg_rewind: 'Yes'")
        + "tags: { failover_priority: '3', sync_priority: '0', noloadbalance: 'On', nosync: 0 }\n\
           watchdog: { mode: Require, safety_margin: '-1' }\nlog: { file_num: '7' }\n";
    let config = File::with(&text).read().expect("it is accepted").config;
    let tags = json!({"nosync": false, "noloadbalance": "On", "failover_priority": "3", "sync_priority": "0"});
    assert_eq!(serde_json::Value::Object(config.tags), tags);
    assert_eq!((config.postgresql.pg_ctl_timeout.as_secs(), config.postgresql.use_pg_rewind), (90, Some(true)));
    assert_eq!(
        (config.watchdog.mode, config.watchdog.safety_margin),
        (pgdrill_agent::config::WatchdogMode::Required, None)
    );
    assert_eq!(config.log.file_num, 7);
}

#[test]
fn variables_are_read_in_the_same_spellings() {
    let file = File::with(LEAST);
    let environment = variables(&[("PATRONI_RESTAPI_REQUEST_QUEUE_SIZE", "'0x10'"), ("PATRONI_CTL_INSECURE", "ON")]);
    let config = pgdrill_host::config::read(Some(&file.path()), &environment).expect("it is accepted").config;
    assert!(config.ctl.insecure);
    assert_eq!(config.restapi.request_queue_size, 16);
    let nothing = Environment::default();
    assert!(!pgdrill_host::config::read(Some(&file.path()), &nothing).expect("it is accepted").config.ctl.insecure);
}

/// Everything that is not a node's own may be said for all nodes, and a node's own word is over it.
#[test]
fn the_dynamic_configuration_says_what_a_node_leaves_open() {
    let dcs = "bootstrap:\n  dcs:\n    postgresql:\n      remove_data_directory_on_rewind_failure: true\n      \
               remove_data_directory_on_diverged_timelines: 'yes'\n      pg_ctl_timeout: '90'\n      \
               callbacks: { on_start: /usr/local/bin/tell }\n      create_replica_methods: [mine, basebackup]\n      \
               mine: { command: /usr/local/bin/mine, no_leader: 1 }\n      bin_dir: /opt/pg/bin\n";
    let own = LEAST.replace("data_dir: /data", "data_dir: /data\n  pg_ctl_timeout: 30");
    let file = File::with(&format!("{own}{dcs}"));
    let loaded = file.read().map_err(|problems| file.said(&problems)).expect("it is accepted");
    assert_eq!(file.said(&loaded.warnings), "");
    let (dynamic, own) = (loaded.config.bootstrap.expect("it is there").dcs, loaded.config.postgresql);
    let used = own.with_dynamic(&dynamic);
    assert!(used.remove_data_directory_on_rewind_failure && used.remove_data_directory_on_diverged_timelines);
    assert_eq!(used.pg_ctl_timeout.as_secs(), 30, "the node's own");
    assert_eq!(used.callbacks.on_start.as_deref(), Some("/usr/local/bin/tell"));
    assert!(used.replica_methods["mine"].no_leader);
    assert_eq!(used.bin_dir, Some("/opt/pg/bin".into()));
}
