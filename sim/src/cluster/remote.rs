//! The remote primary of a standby cluster: a PostgreSQL on a host of its own, without an agent, that has a slot for the standby cluster
//! and writes a row each second.

use std::time::Duration;

use pgdrill_agent::{
    config::{HostPort, Password, User},
    ports::{InitdbOptions, Postgres, PostgresError, ServerConfig},
    postgres::Sql,
};
use pgdrill_lab::{scenario::Scenario, world::REMOTE};
use pgdrill_probe::Journal;
use pgdrill_sim_engine::{Engine, HostId, SimNet};
use pgdrill_sim_postgres::Version;
use serde_json::Value;
use tokio::time::sleep;

use super::Roster;
use crate::{
    calibration::Calibration,
    node::{Machine, SUPERUSER},
    ports,
};

/// Between two rows, and between two tries to connect.
const PERIOD: Duration = Duration::from_secs(1);

/// Boots it, with the slot that the scenario's `standby_cluster` names.
pub(super) fn start(
    engine: &mut Engine,
    host: HostId,
    scenario: &Scenario,
    calibration: &Calibration,
    journal: &Journal,
    roster: &Roster,
) {
    let major = scenario.cluster.postgresql.number();
    let version = Version::of_major(major).expect("the model knows every version that a scenario can name");
    let timings = calibration.postgresql.clone();
    let machine = Machine::new(REMOTE, version, engine.control(host), timings, journal.clone(), roster.clone());
    let section = scenario.cluster.patroni.standby_cluster.as_ref();
    let slot = section.and_then(|section| section.get("primary_slot_name").and_then(Value::as_str)).map(str::to_owned);
    engine.spawn(host, "remote primary", move || {
        let (machine, slot) = (machine.clone(), slot.clone());
        async move {
            if let Err(why) = boot(&machine).await {
                panic!("the remote primary does not start: {why}");
            }
            write_on(slot).await;
        }
    });
}

async fn boot(machine: &Machine) -> Result<(), PostgresError> {
    let options = InitdbOptions {
        options: vec![("data-checksums".to_owned(), None)],
        superuser: SUPERUSER.to_owned(),
        password: Some(Password::new("simulated")),
    };
    machine.initdb(&options).await?;
    machine.write_config(&ServerConfig::default()).await?;
    machine.start().await
}

/// Makes the slot, and writes for ever.
async fn write_on(slot: Option<String>) {
    let user = User { username: SUPERUSER.to_owned(), password: Some(Password::new("simulated")) };
    let sql = Sql::new(SimNet, HostPort::new("127.0.0.1", ports::POSTGRESQL), user);
    while sql.query("SELECT 1").await.is_err() {
        sleep(PERIOD).await;
    }
    let slot = slot.map(|slot| format!("SELECT pg_create_physical_replication_slot('{slot}', true)"));
    for statement in slot.into_iter().chain(["CREATE TABLE remote (n bigint)".to_owned()]) {
        if let Err(error) = sql.query(&statement).await {
            panic!("{statement}: {error}");
        }
    }
    let mut n = 0_u64;
    loop {
        n += 1;
        // One that fails is not repeated: it only has to make WAL.
        let _ = sql.query(&format!("INSERT INTO remote VALUES ({n})")).await;
        sleep(PERIOD).await;
    }
}
