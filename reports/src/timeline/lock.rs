//! Who holds the leader lock, from the changes of the DCS's `leader` key.

use pgdrill_lab::event::{Event, What};

/// The leader lock as the DCS last showed it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lock {
    holder: Option<String>,
    mod_revision: i64,
}

/// The lock passed from one to another; `None` is nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockChange {
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

impl Lock {
    /// Takes an event into account and tells whether the lock changed hands.
    pub(crate) fn see(&mut self, event: &Event) -> Option<LockChange> {
        let What::Dcs { key, value, mod_revision, .. } = &event.what else { return None };
        // Several members may report one change, and a lagging one reports old news.
        if key != "leader" || *mod_revision < self.mod_revision {
            return None;
        }
        self.mod_revision = *mod_revision;
        if self.holder == *value {
            return None;
        }
        let from = std::mem::replace(&mut self.holder, value.clone());
        Some(LockChange { from, to: value.clone() })
    }

    /// Who holds it.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use pgdrill_lab::event::At;

    use super::*;

    fn leader(value: Option<&str>, mod_revision: i64) -> Event {
        let what = What::Dcs { key: "leader".into(), value: value.map(Into::into), mod_revision, lease: 7 };
        Event { at: At(0), ordinal: 0, node: "etcd1".into(), what }
    }

    #[test]
    fn a_change_reported_late_by_another_member_is_not_a_change() {
        let mut lock = Lock::default();
        assert_eq!(lock.see(&leader(Some("pg1"), 5)), Some(LockChange { from: None, to: Some("pg1".into()) }));
        assert_eq!(lock.see(&leader(Some("pg1"), 6)), None, "renewed by a put");
        assert_eq!(lock.see(&leader(None, 9)), Some(LockChange { from: Some("pg1".into()), to: None }));
        assert_eq!(lock.see(&leader(Some("pg1"), 5)), None, "old news");
        assert_eq!(lock.holder(), None);
    }
}
