//! Replication slots as a decision wants them.

use pgdrill_ha::decision::Slots;

use super::parts::{Parts, Ports};
use crate::postgres::statements;

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
    if !slots.logical.is_empty() {
        // Copying a logical slot to a standby needs its files; saying nothing would look like success.
        let names: Vec<_> = slots.logical.keys().filter(|name| !present.contains_key(*name)).cloned().collect();
        if !names.is_empty() {
            parts.trouble("sql", format!("logical slots are not copied: {}", names.join(", ")));
        }
    }
    for statement in todo {
        if let Err(error) = parts.sql.query(&statement).await {
            parts.trouble("sql", format!("{statement}: {error}"));
        }
    }
}
