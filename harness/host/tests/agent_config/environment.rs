//! `PATRONI_*` variables.

use pgdrill_host::config::{Environment, read};

use super::{File, LEAST, variables};

#[test]
fn variables_are_over_the_file() {
    let file = File::with(LEAST);
    let environment = variables(&[
        ("PATRONI_NAME", "pg7"),
        ("PATRONI_ETCD3_HOSTS", "10.1.0.1:2379, 10.1.0.2:2379"),
        ("PATRONI_RESTAPI_LISTEN", "10.0.0.7:8009"),
        ("PATRONI_RESTAPI_ALLOWLIST", "10.0.0.0/8"),
        ("PATRONI_RESTAPI_ALLOWLIST_INCLUDE_MEMBERS", "on"),
        ("PATRONI_RESTAPI_HTTP_EXTRA_HEADERS", "X-Frame-Options: DENY"),
        ("PATRONI_RESTAPI_PASSWORD", "123"),
        ("PATRONI_SUPERUSER_PASSWORD", "0123"),
        ("PATRONI_REWIND_USERNAME", "rewinder"),
        ("PATRONI_REWIND_SSLMODE", "verify-full"),
        ("PATRONI_REWIND_SSLROOTCERT", "/ca.crt"),
        ("PATRONI_SUPERUSER_SSLCERT", "/postgres.crt"),
        ("PATRONI_SUPERUSER_SSLKEY", "/postgres.key"),
        ("PATRONI_REPLICATION_SSLMODE", "require"),
        ("PATRONI_POSTGRESQL_DATA_DIR", "/elsewhere"),
        ("PATRONI_POSTGRESQL_BIN_PG_CTL", "pg_ctl16"),
        ("PATRONI_LOGLEVEL", "DEBUG"),
        ("PATRONI_LOG_MODE", "0640"),
        ("PATRONI_app_PASSWORD", "secret"),
        ("PATRONI_app_OPTIONS", "createdb,createrole"),
        ("PATRONI_SCOPE", ""),
        ("HOME", "/root"),
    ]);
    let loaded = read(Some(&file.path()), &environment).map_err(|problems| file.said(&problems)).expect("accepted");
    assert_eq!(file.said(&loaded.warnings), "");
    let config = loaded.config;
    assert_eq!((config.name.as_str(), config.scope.as_str()), ("pg7", "demo"));
    assert_eq!(config.etcd.hosts[1].to_string(), "10.1.0.2:2379");
    assert_eq!(config.restapi.listen.to_string(), "10.0.0.7:8009");
    assert_eq!(config.restapi.allowlist, ["10.0.0.0/8"]);
    assert!(config.restapi.allowlist_include_members);
    assert_eq!(config.restapi.http_extra_headers["X-Frame-Options"], "DENY");
    assert_eq!(config.restapi.authentication.and_then(|user| user.password).expect("it is").reveal(), "123");
    assert_eq!(config.postgresql.superuser.password.expect("it is").reveal(), "0123");
    assert_eq!(config.postgresql.rewind.expect("it is").username, "rewinder");
    let connection = config.postgresql.connection;
    assert_eq!(
        (connection.rewind["sslmode"].as_str(), connection.rewind["sslrootcert"].as_str()),
        ("verify-full", "/ca.crt")
    );
    assert_eq!(
        (connection.superuser["sslmode"].as_str(), connection.superuser["sslkey"].as_str()),
        ("prefer", "/postgres.key")
    );
    assert_eq!(connection.replication["sslmode"], "require");
    assert_eq!(config.postgresql.data_dir, "/elsewhere");
    assert_eq!(config.postgresql.bin_name["pg_ctl"], "pg_ctl16");
    assert_eq!(config.log.mode, Some(0o640));
    let users = config.bootstrap.expect("it is").users;
    assert_eq!(
        (users[0].name.as_str(), &users[0].options[..]),
        ("app", &["CREATEDB".to_owned(), "CREATEROLE".into()][..])
    );
}

#[test]
fn mistakes_in_variables_are_named_by_the_variable() {
    let file = File::with(LEAST);
    let environment = variables(&[
        ("PATRONI_RESTAPI_LISTEN", "10.0.0.7:port"),
        ("PATRONI_RESTAPI_ALLOWLIST", "[10.0.0.0/8"),
        ("PATRONI_SUPERUSER_PASWORD", "secret"),
        ("PATRONI_SUPERUSER_SSLMODE", "verify"),
        ("PATRONI_REPLICATION_SSLPASSWORD", "secret"),
        ("PATRONI_PORT_8008_TCP", "tcp://10.0.0.1"),
        ("PATRONI_CONSUL_HOST", "10.0.0.9:8500"),
        ("PATRONI_CONFIGURATION", "scope: other"),
    ]);
    let problems = read(Some(&file.path()), &environment).expect_err("they are wrong");
    insta::assert_snapshot!(file.said(&problems));
}

#[test]
fn without_a_file_everything_is_from_one_variable_or_from_many() {
    let one = variables(&[("PATRONI_CONFIGURATION", LEAST), ("PATRONI_NAME", "pg7")]);
    let loaded = read(None, &one).expect("it is accepted");
    assert_eq!(loaded.config.name, "pg1", "the other variables are passed over");
    assert!(loaded.warnings[0].to_string().starts_with("PATRONI_NAME:"), "{:?}", loaded.warnings);
    let many = variables(&[
        ("PATRONI_NAME", "pg7"),
        ("PATRONI_SCOPE", "demo"),
        ("PATRONI_ETCD3_HOSTS", "10.1.0.1:2379,10.1.0.2:2379"),
        ("PATRONI_RESTAPI_LISTEN", "10.0.0.7:8009"),
        ("PATRONI_POSTGRESQL_LISTEN", "10.0.0.7:5432"),
        ("PATRONI_POSTGRESQL_DATA_DIR", "/data"),
        ("PATRONI_SUPERUSER_USERNAME", "postgres"),
        ("PATRONI_REPLICATION_USERNAME", "replicator"),
    ]);
    assert_eq!(read(None, &many).expect("it is accepted").config.name, "pg7");
    assert!(read(None, &Environment::default()).is_err());
}
