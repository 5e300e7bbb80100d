//! The acknowledged writes that are missing at the end.

use std::collections::BTreeSet;

use crate::history::{History, NodeRows, Operation};

/// What is missing, and where that was seen.
#[derive(Clone, Debug)]
pub struct Lost<'h, 'a> {
    /// The primary whose tables were read.
    pub node: &'a str,
    /// Its tables.
    pub read: NodeRows<'a>,
    /// The missing writes, in the order of invocation.
    pub writes: Vec<&'h Operation<'a>>,
}

/// Finds the acknowledged writes that are missing at the end; `None` when nobody can say.
#[must_use]
pub fn lost<'h, 'a>(history: &'h History<'a>) -> Option<Lost<'h, 'a>> {
    let (node, read) = history.ending.authority(history.keys.last_holder())?;
    let present: BTreeSet<u64> = read.rows.iter().map(|(id, _)| *id).collect();
    let writes = history
        .operations
        .acknowledged_writes()
        .filter(|write| write.write().is_some_and(|(id, _)| !present.contains(&id)))
        .collect();
    Some(Lost { node, read, writes })
}
