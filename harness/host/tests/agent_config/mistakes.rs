//! Every kind of mistake, and what is said to it.

use super::{File, LEAST, said};

/// The least with one line in place of another.
fn with(line: &str, instead: &str) -> String {
    assert!(LEAST.contains(line), "{line}");
    LEAST.replace(line, instead)
}

#[test]
fn every_mistake_is_named_with_its_place_and_what_would_be_right() {
    let etcd = "etcd3: { hosts: [10.0.0.11:2379, 10.0.0.12:2379, 10.0.0.13:2379] }";
    let restapi = "restapi: { listen: 10.0.0.1:8008,";
    let pg = "  data_dir: /data";
    let texts = [
        String::new(),
        "scope: demo\n".into(),
        with("scope:", "scpoe:"),
        with("name: pg1", "name: 17"),
        with("name: pg1", "name: a/b"),
        with("name: pg1", "name: pg1\nttl: 30\nloop_wiat: 3"),
        with("name: pg1", "name: pg1\nname: pg2"),
        with(etcd, "etcd: { host: 10.0.0.11:2379 }"),
        with(etcd, "consul: { host: 10.0.0.11:8500 }"),
        with(etcd, "etcd3: { srv: example.org, hosts: [10.0.0.11] }"),
        with(etcd, "etcd3: { host: 10.0.0.11, hosts: 10.0.0.11:2379 }"),
        with(etcd, "etcd3: { url: 'ftp://10.0.0.11:2379' }"),
        with(etcd, "etcd3: { hosts: '10.0.0.11:2379,10.0.0.12:port' }"),
        with(etcd, "etcd3: { hosts: [10.0.0.11, 10.0.0.12], cacert: /ca.crt, key: /k, username: root }"),
        with(restapi, "restapi: { listen: 0.0.0.0:8008,"),
        with(restapi, "restapi: { listen: 10.0.0.1:8008, verify_client: require,"),
        with(restapi, "restapi: { listen: 10.0.0.1:8008, verify_client: required,"),
        with(restapi, "restapi: { listen: 10.0.0.1:8008, allowlist: [10.0.0.0/33], ciphers: 'ALL',"),
        with(restapi, "restapi: { listen: 10.0.0.1:8008, certfile: /c, keyfile: /k, keyfile_password: guess-me,"),
        format!("{LEAST}ctl: {{ certfile: /c, keyfile_password: guess-me }}\n"),
        with("password: s3cret", "password: 12345"),
        with(pg, "  data_dir: data\n  use_slots: false\n  use_unix_socket: sometimes\n  use_unix_socket_repl: [on]"),
        with(pg, "  data_dir: /data\n  parameters: { port: 5433, max_connections: 7, search_path: [a, b] }"),
        with(pg, "  data_dir: /data\n  create_replica_methods: [wal_e, basebackup]"),
        with(pg, "  data_dir: /data\n  basebackup: [pgdata: /x, { max-rate: 1M, checkpoint: fast }]"),
        with(pg, "  data_dir: /data\n  callbacks: { on_rolechange: /x, on_stop: 'say \"bye' }"),
        with("username: replicator }", "username: replicator, sslmode: verify_full }"),
        with("username: replicator }", "username: replicator, sslmode: require, sslkey: our.key }"),
        with("username: replicator }", "username: replicator, sslmode: disable, sslrootcert: /ca }"),
        with("username: replicator }", "username: replicator, sslrootcert: system, sslcrl: our.crl, sslcrldir: crls }"),
        with("username: replicator }", "username: replicator, sslcert: /c, sslkey: /k, sslpassword: guess-me }"),
        with(
            "username: replicator }",
            "username: replicator, gssencmode: require, channel_binding: require, sslnegotiation: direct }",
        ),
        format!("{LEAST}bootstrap: {{ dcs: {{ ttl: 10, synchronous_mode: maybe, maximum_lag: 1 }} }}\n"),
        format!("{LEAST}bootstrap: {{ dcs: {{ ttl: 20, loop_wait: 10, retry_timeout: 10 }} }}\n"),
        format!("{LEAST}bootstrap: {{ dcs: {{ postgresql: {{ pg_ctl_timeout: 5, use_slot: true }} }} }}\n"),
        format!(
            "{LEAST}bootstrap: {{ method: restore, initdb: [pwfile: /x], users: {{ app: {{ options: [CREATEDBS] }} }} }}\n"
        ),
        format!("{LEAST}watchdog: {{ mode: always, saftey_margin: 5 }}\n"),
        format!("{LEAST}log: {{ level: info, format: '%(message)s' }}\n"),
        format!("{LEAST}tags: {{ nofailvoer: true, nosync: true, sync_priority: 3, rack: [a] }}\n"),
        format!("{LEAST}citus: {{ group: 0, database: app }}\n"),
        format!("{LEAST}pgdrill: {{ fencing: on }}\n"),
        format!("{LEAST}pgdrill: {{ fencing: {{ safety_margin: 25 }} }}\n"),
        format!("{LEAST}pgdrill: {{ fencing: {{ safety_margin: 25 }} }}\nbootstrap: {{ dcs: {{ ttl: 30 }} }}\n"),
        format!("{LEAST}pgdrill: {{ fencing: {{ safety_margin: 25 }} }}\nbootstrap: {{ dcs: {{ ttl: 55 }} }}\n"),
        "scope: [demo\n".into(),
    ];
    let answers: Vec<String> = texts.iter().map(|text| said(text)).collect();
    insta::assert_snapshot!(answers.join("\n\n"));
}

/// It was refused when the program was to be run, in the middle of the making of a cluster or a replica.
#[test]
fn an_option_that_the_agent_sets_itself_is_refused_when_it_is_read() {
    for option in ["no-clean", "target", "write-recovery-conf", "password", "-D"] {
        let text = with("  data_dir: /data", &format!("  data_dir: /data\n  basebackup: [{option}]"));
        assert!(said(&text).contains(option), "{option}: {}", said(&text));
    }
    for option in ["username: app", "pwprompt", "show", "Encoding: UTF8"] {
        let text = format!("{LEAST}bootstrap: {{ initdb: [{option}] }}\n");
        let name = option.split(':').next().unwrap_or_default();
        assert!(said(&text).contains(name), "{option}: {}", said(&text));
    }
}

#[test]
fn no_password_is_shown_with_a_mistake_in_the_same_line() {
    for (right, wrong) in [
        ("username: admin", "usrname: admin"),
        ("password: s3cret", "pasword: s3cret"),
        ("password: s3cret", "password:s3cret"),
        ("password: s3cret", "pa&,aassword: s3cret"),
        ("password: s3cret", "password: &s3cret"),
        ("password: s3cret", "password: !s3cret"),
        ("password: s3cret", "&password: s3cret"),
        ("{ username: admin, password: s3cret }", "admin:s3cret"),
    ] {
        let file = File::with(&LEAST.replace(right, wrong));
        let problems = file.read().expect_err("it is wrong");
        for problem in problems {
            let shown = format!("{problem} {} {:?}", problem.excerpt, problem.report());
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
