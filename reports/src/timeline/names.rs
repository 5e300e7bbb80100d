//! Hosts by the names of their members. PostgreSQL says from which address it streams; which member that is, the keys of the
//! members say.

use std::{borrow::Cow, collections::BTreeMap};

use pgdrill_lab::{
    event::{Event, What},
    history::History,
};

/// Members by their hosts, as the keys of a run have them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// Reads the keys of the members.
    pub(crate) fn of(events: &[Event]) -> Self {
        let members = History::of(events).keys.member_hosts();
        Self(members.into_iter().map(|(host, member)| (host, member.to_owned())).collect())
    }

    /// The event as people read it: the host that a standby streams from by its name. A host that is no member's stays as it
    /// is.
    pub(crate) fn named<'e>(&self, event: &'e Event) -> Cow<'e, Event> {
        let What::Sql { state: Some(state), .. } = &event.what else { return Cow::Borrowed(event) };
        let Some(name) = state.streaming_from.as_ref().and_then(|host| self.0.get(host)) else {
            return Cow::Borrowed(event);
        };
        let mut event = event.clone();
        if let What::Sql { state: Some(state), .. } = &mut event.what {
            state.streaming_from = Some(name.clone());
        }
        Cow::Owned(event)
    }
}
