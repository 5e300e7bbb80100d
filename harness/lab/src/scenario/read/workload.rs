//! Reads `workload`.

use super::{At, Reader, positive};
use crate::scenario::{limits, quantity::Rate, workload::Workload};

const RATE: &str = "how often, such as 5/s, 0.5/s or 30/m";

pub(super) fn workload(reader: &mut Reader<'_>, at: &At<'_>) -> Workload {
    let mut it = Workload::default();
    let mut fields = reader.fields(at);
    for (name, count) in [("writers", &mut it.writers), ("readers", &mut it.readers)] {
        if let Some(n) = fields.take(name).and_then(|at| reader.integer(&at, limits::CLIENTS, "clients")) {
            *count = n;
        }
    }
    for (name, rate) in [("rate", &mut it.rate), ("read_rate", &mut it.read_rate)] {
        if let Some(found) = fields.take(name).and_then(|at| reader.parsed::<Rate>(&at, RATE)) {
            *rate = found;
        }
    }
    if let Some(keys) = fields.take("keys").and_then(|at| reader.integer(&at, limits::KEYS, "keys")) {
        it.keys = keys;
    }
    for (name, time) in [
        ("connect_timeout", &mut it.connect_timeout),
        ("statement_timeout", &mut it.statement_timeout),
        ("reconnect_delay", &mut it.reconnect_delay),
    ] {
        if let Some(found) = fields.take(name).and_then(|at| positive(reader, &at)) {
            *time = found;
        }
    }
    fields.finish(reader);
    it
}
