//! Replication slots as a decision wants them.

use std::time::Duration;

use pgdrill_ha::decision::Slots;
use serde_json::Value;

use super::parts::{Parts, Ports};
use crate::postgres::{SqlError, statements};

/// How long the loop waits for one logical slot.
const LOGICAL_LIMIT: Duration = Duration::from_secs(1);

/// Creates, advances and drops. One slot that resists is reported and tried again in the next cycle; it does not keep the
/// others from being right.
pub(crate) async fn sync<T: Ports>(parts: &Parts<T>, slots: &Slots) {
    let present = parts.shared.published().postgres.slots.clone();
    let mut todo = Vec::new();
    for slot in &slots.drop {
        if present.get(slot).is_some_and(|slot| !slot.active) {
            todo.push(statements::drop_slot(slot));
        }
    }
    for (slot, position) in &slots.physical {
        match present.get(slot) {
            None => todo.push(statements::create_physical_slot(slot)),
            // A slot in use is advanced by its user; the others follow what the leader published.
            Some(found) if !found.active => {
                let behind = position.filter(|wanted| found.position.is_some_and(|at| at < *wanted));
                todo.extend(behind.map(|wanted| statements::advance_slot(slot, wanted)));
            }
            Some(_) => {}
        }
    }
    for (slot, (section, position)) in &slots.logical {
        let text = |name: &str| section.get(name).and_then(Value::as_str).unwrap_or_default();
        let statement = match present.get(slot) {
            None => statements::create_logical_slot(slot, text("plugin")),
            Some(found) => {
                let behind = position.filter(|wanted| !found.active && found.position.is_some_and(|at| at < *wanted));
                let Some(wanted) = behind else { continue };
                statements::advance_slot(slot, wanted)
            }
        };
        // Decoding up to there takes its time: what is not done now is done in the next cycle.
        if let Err(error) = parts.sql.query_in(text("database"), &statement, LOGICAL_LIMIT).await {
            parts.trouble("sql", format!("{statement}: {error}"));
            if matches!(error, SqlError::FileGone(_)) && !parts.shared.published().dcs_unreachable {
                // The slot was copied with a position from before the base backup: it can never be used. Once it is gone the
                // leader's is copied again, as it is now (`SlotsAdvanceThread`: `copy`); without the DCS nothing is copied.
                todo.push(statements::drop_slot(slot));
            }
        }
    }
    for statement in todo {
        if let Err(error) = parts.sql.query(&statement).await {
            parts.trouble("sql", format!("{statement}: {error}"));
        }
    }
}
