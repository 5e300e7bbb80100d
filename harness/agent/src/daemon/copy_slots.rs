//! Copying logical slots from the leader to a replica (`SlotsHandler.copy_logical_slots`): their state is read there and put into
//! the data directory here while PostgreSQL is down. From then on they are advanced with the positions that the leader publishes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pgdrill_ha::decision::Upstream;
use pgdrill_net::Net;
use serde_json::Value;

use super::{
    callbacks::Callback,
    lifecycle::{self, Outcome, text},
    parts::{Parts, Ports},
    peers::address,
};
use crate::{
    ports::{Postgres, StopMode},
    postgres::{Sql, statements},
};

/// How long the leader may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Reads first: PostgreSQL is stopped only for what has been read.
pub(crate) async fn copy<T: Ports>(parts: Arc<Parts<T>>, slots: BTreeMap<String, Value>, from: Upstream) -> Outcome {
    let leader = address(&from).ok_or("no leader to copy logical slots from")?;
    let config = parts.config();
    let (user, options) = config.postgresql.rewinder();
    let source = Sql::new(parts.net.clone(), leader, user.clone()).with_options(options);
    for (whose, sql) in [("the leader", &source), ("this server", &parts.sql)] {
        let level = wal_level(sql).await?;
        if level != "logical" {
            return Err(format!("logical slots are not copied: wal_level of {whose} is {level}, not logical"));
        }
    }
    let states = read(&source, &slots).await?;
    if states.is_empty() {
        return Err("logical slots are not copied: the leader has none of them as they are configured".into());
    }
    lifecycle::stop(&parts, StopMode::Fast, None).await?;
    parts.callbacks.told().will_start(Callback::OnRestart);
    let installed = parts.postgres.install_slots(&states).await.map_err(text);
    // Whatever came of it, the replica is to run again.
    lifecycle::start(parts).await?;
    installed
}

async fn wal_level<N: Net>(sql: &Sql<N>) -> Result<String, String> {
    let rows = sql.query(statements::WAL_LEVEL).await.map_err(|error| format!("wal_level: {error}"))?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok().flatten()).unwrap_or_default().to_owned())
}

/// The state of those that are on the leader what they are in the configuration.
async fn read<N: Net>(sql: &Sql<N>, slots: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let statement = statements::logical_slot_states(slots.keys().map(String::as_str));
    let rows = sql.query_slow(&statement, LIMIT).await.map_err(|error| format!("reading logical slots: {error}"))?;
    let mut states = BTreeMap::new();
    for row in rows {
        let get = |index: usize| row.try_get(index).ok().flatten().unwrap_or_default();
        let (name, digits) = (get(0), get(3));
        let configured = |field: &str| slots.get(name).and_then(|slot| slot.get(field)).and_then(Value::as_str);
        if configured("database") != Some(get(1)) || configured("plugin") != Some(get(2)) {
            continue;
        }
        let state = unhex(digits).ok_or_else(|| format!("the state of logical slot {name} is not hexadecimal"))?;
        states.insert(name.to_owned(), state);
    }
    Ok(states)
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
        _ => None,
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_whole_or_not_at_all() {
        assert_eq!(unhex("00ff7A"), Some(vec![0, 255, 122]));
        assert_eq!(unhex(""), Some(vec![]));
        for broken in ["0", "0g", "é"] {
            assert_eq!(unhex(broken), None, "{broken}");
        }
    }
}
