//! `ignore_slots`, asked about a slot that a server has.

use pgdrill_settings::slots::{self, Slot};
use serde_json::Value;

use crate::view::SlotView;

/// Whether one of the `ignore_slots` matchers is about this slot.
pub fn ignores_slot(matchers: &Value, name: &str, slot: &SlotView) -> bool {
    let (database, plugin) = (slot.database.as_deref(), slot.plugin.as_deref());
    slots::ignores_slot(matchers, Slot { name, physical: slot.physical, database, plugin })
}
