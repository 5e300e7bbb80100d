//! One client: keep a session, do one operation each period, record what came of it.

use std::time::Duration;

use pgdrill_lab::event::{Action, Outcome, What};
use pgdrill_net::Net;
use tokio::time::{Instant, sleep_until};

use super::{ClientOptions, Route, Shared, outcome::of_error, route::Session};

struct Client<N> {
    name: String,
    net: N,
    route: Route,
    options: ClientOptions,
    shared: Shared,
    session: Option<Session>,
}

/// Writes one row each period until [`Shared::stop`]. `phase` is the start of its first operation.
pub async fn writer<N: Net>(
    name: String,
    net: N,
    route: Route,
    options: ClientOptions,
    phase: Duration,
    shared: Shared,
) {
    let mut client = Client { name, net, route, options, shared, session: None };
    client.every(phase, true).await;
}

/// Reads one key each period until [`Shared::stop`].
pub async fn reader<N: Net>(
    name: String,
    net: N,
    route: Route,
    options: ClientOptions,
    phase: Duration,
    shared: Shared,
) {
    let mut client = Client { name, net, route, options, shared, session: None };
    client.every(phase, false).await;
}

impl<N: Net> Client<N> {
    async fn every(&mut self, phase: Duration, writes: bool) {
        let mut due = Instant::now() + phase;
        let mut turn = 0;
        loop {
            sleep_until(due).await;
            if self.shared.stopped() {
                return;
            }
            let key = turn % self.options.keys.max(1);
            turn += 1;
            let action = if writes { Action::Write { id: self.shared.row(), key } } else { Action::Read { key } };
            let done = self.operate(action).await;
            // Late operations do not bunch up: an application that was held up goes on at its own pace.
            due = (due + self.options.period).max(Instant::now());
            if !done {
                due = due.max(Instant::now() + self.options.reconnect_delay);
            }
        }
    }

    /// Whether it was acknowledged.
    async fn operate(&mut self, action: Action) -> bool {
        let op = self.shared.op();
        let writes = matches!(action, Action::Write { .. });
        let sql = statement(&action);
        self.shared.journal.record(&self.name, What::Invoke { op, action });
        let (outcome, server) = match self.session().await {
            Err(why) => (Outcome::Refused { why }, None),
            Ok(()) => self.send(&sql, writes).await,
        };
        let done = matches!(outcome, Outcome::Acknowledged { .. });
        if !done {
            self.session = None;
        }
        self.shared.journal.record(&self.name, What::Return { op, outcome, server });
        done
    }

    /// Makes sure that there is a session.
    async fn session(&mut self) -> Result<(), String> {
        if self.session.as_ref().is_some_and(|s| s.connection.is_closed()) {
            self.session = None;
        }
        if self.session.is_none() {
            let limit = self.options.connect_timeout;
            self.session = Some(self.route.open(&self.net, &self.options.login, &self.name, limit).await?);
        }
        Ok(())
    }

    async fn send(&self, sql: &str, writes: bool) -> (Outcome, Option<String>) {
        let Some(Session { connection, server }) = &self.session else {
            return (Outcome::Refused { why: "no session".to_owned() }, None);
        };
        let outcome = match connection.query(sql, self.options.operation_timeout).await {
            Some(Ok(_)) if writes => Outcome::Acknowledged { value: None },
            Some(Ok(rows)) => {
                Outcome::Acknowledged { value: rows.first().and_then(|r| r.get(0)).and_then(|v| v.parse().ok()) }
            }
            Some(Err(e)) => of_error(&e),
            None => Outcome::Unknown { why: format!("no answer within {:?}", self.options.operation_timeout) },
        };
        (outcome, server.clone())
    }
}

fn statement(action: &Action) -> String {
    match action {
        Action::Write { id, key } => format!("INSERT INTO pgdrill_rows (id, key) VALUES ({id}, {key})"),
        Action::Read { key } => format!("SELECT max(id) FROM pgdrill_rows WHERE key = {key}"),
    }
}
