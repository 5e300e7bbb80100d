//! A client session: simple and extended query protocol, transactions, settings.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use futures::StreamExt;
use pgdrill_net::Socket;
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage,
    response::{CommandComplete, EmptyQueryResponse, TransactionStatus},
};
use sqlparser::ast::{Set, Statement};
use tokio::sync::Notify;

use super::{
    backend::Client,
    extended::Extended,
    state::{Server, Stop},
};
use crate::{
    PgError,
    disk::record::Change,
    sql::{
        catalog,
        eval::Typed,
        output::{self, Rows},
        parse::{Parsed, parse, plain_name},
        select::{self, Context},
    },
};

/// What a statement gives back.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub rows: Option<Rows>,
    pub tag: String,
    pub notice: Option<PgError>,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub server: Arc<Server>,
    pid: i32,
    /// The address that the client connected to: the listener's own may be a wildcard.
    local: SocketAddr,
    pub(super) cancel: Arc<Notify>,
    /// `SET` values of this session.
    pub settings: BTreeMap<String, String>,
    pub(super) status: TransactionStatus,
    /// Changes of the open transaction block.
    pub(super) pending: Vec<Change>,
    pub extended: Extended,
}

/// Ends the connection: the error is sent (unless it is a notice already sent) and the socket closed.
pub(crate) enum End {
    /// The client left.
    Quietly,
    /// With this message.
    With(PgError),
}

impl Session {
    pub fn new(
        server: Arc<Server>,
        pid: i32,
        local: SocketAddr,
        application_name: String,
        options: &str,
    ) -> Result<Self, PgError> {
        let cancel = {
            let state = server.state();
            state.backends.get(&pid).map(|backend| Arc::clone(&backend.cancel))
        };
        let mut settings = BTreeMap::from([("application_name".to_owned(), application_name)]);
        // libpq's `options`: -c name=value, several.
        let words = options.replace("-c", " ");
        for (name, value) in words.split_whitespace().filter_map(|word| word.split_once('=')) {
            settings.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let cancel = cancel.ok_or_else(|| PgError::fatal("XX000", "backend is not registered"))?;
        let extended = Extended::default();
        let status = TransactionStatus::Idle;
        Ok(Self { server, pid, local, cancel, settings, status, pending: Vec::new(), extended })
    }

    /// Serves the client until it leaves or is sent away.
    pub async fn run<S: Socket>(mut self, client: &mut Client<S>) -> Result<(), PgError> {
        let mut stop = self.server.stop.subscribe();
        loop {
            let message = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop >= Stop::Backends) => {
                    return Err(PgError::fatal("57P01", "terminating connection due to administrator command"));
                }
                message = client.framed.next() => message,
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(PgError::fatal("08P01", error.to_string())),
                None => return Ok(()),
            };
            self.set_activity("active");
            let ended = match message {
                PgWireFrontendMessage::Query(query) => self.simple(client, &query.query).await,
                PgWireFrontendMessage::Terminate(_) => Err(End::Quietly),
                message => self.extended_message(client, message).await,
            };
            self.set_activity("idle");
            match ended {
                Ok(()) => {}
                Err(End::Quietly) => return Ok(()),
                Err(End::With(error)) => return Err(error),
            }
        }
    }

    fn set_activity(&self, activity: &'static str) {
        if let Some(backend) = self.server.state().backends.get_mut(&self.pid) {
            backend.state = activity;
        }
    }

    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// After an error inside a transaction block only its end is accepted.
    pub fn failed(&mut self) {
        if self.status == TransactionStatus::Transaction {
            self.status = TransactionStatus::Error;
        }
    }

    async fn simple<S: Socket>(&mut self, client: &mut Client<S>, text: &str) -> Result<(), End> {
        match self.run_all(client, text).await {
            Ok(()) => {}
            Err(End::With(error)) if error.severity == "ERROR" => {
                self.failed();
                let response = PgWireBackendMessage::ErrorResponse(error.to_response());
                client.feed(response).await.map_err(End::With)?;
            }
            Err(end) => return Err(end),
        }
        client.ready(self.status).await.map_err(End::With)
    }

    async fn run_all<S: Socket>(&mut self, client: &mut Client<S>, text: &str) -> Result<(), End> {
        let statements = parse(text).map_err(End::With)?;
        if statements.is_empty() {
            let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
            return client.feed(empty).await.map_err(End::With);
        }
        for statement in statements.iter() {
            let outcome = self.execute(client, statement, &[]).await?;
            self.send(client, outcome).await.map_err(End::With)?;
        }
        Ok(())
    }

    async fn send<S: Socket>(&self, client: &mut Client<S>, outcome: Outcome) -> Result<(), PgError> {
        if let Some(notice) = &outcome.notice {
            client.feed(PgWireBackendMessage::NoticeResponse(notice.to_notice())).await?;
        }
        match &outcome.rows {
            Some(rows) => output::send_rows(client, rows, &outcome.tag).await,
            None => client.feed(PgWireBackendMessage::CommandComplete(CommandComplete::new(outcome.tag))).await,
        }
    }

    /// Runs one statement.
    pub async fn execute<S: Socket>(
        &mut self,
        client: &mut Client<S>,
        statement: &Parsed,
        parameters: &[Typed],
    ) -> Result<Outcome, End> {
        let ends_block = matches!(statement, Parsed::Sql(sql)
            if matches!(sql.as_ref(), Statement::Commit { .. } | Statement::Rollback { .. }));
        if self.status == TransactionStatus::Error && !ends_block {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(End::With(PgError::error("25P02", message)));
        }
        let done = |tag: &str| Ok(Outcome { tag: tag.to_owned(), ..Outcome::default() });
        match statement {
            Parsed::Checkpoint => {
                self.server.checkpoint(true).await;
                done("CHECKPOINT")
            }
            Parsed::Reset(name) => {
                self.settings.remove(name);
                done("RESET")
            }
            Parsed::Role { create, name, password } => self.role(client, *create, name, password.clone()).await,
            Parsed::Sql(sql) => match sql.as_ref() {
                Statement::StartTransaction { begin, .. } => {
                    self.status = TransactionStatus::Transaction;
                    done(if *begin { "BEGIN" } else { "START TRANSACTION" })
                }
                Statement::Commit { .. } => self.commit_block(client).await,
                Statement::Rollback { .. } => {
                    self.pending.clear();
                    self.status = TransactionStatus::Idle;
                    done("ROLLBACK")
                }
                Statement::Set(set) => self.set(set).map_err(End::With),
                Statement::Query(_) | Statement::ShowVariable { .. } => {
                    self.read(sql, parameters, false).map_err(End::With)
                }
                other => self.write(client, other, parameters).await,
            },
        }
    }

    /// Queries and `SHOW`; with `describe` only their columns.
    pub fn read(&self, statement: &Statement, parameters: &[Typed], describe: bool) -> Result<Outcome, PgError> {
        match statement {
            Statement::Query(query) => {
                if !self.pending.is_empty() && !describe {
                    return Err(PgError::unsupported("reading after writing in one transaction block"));
                }
                let rows = select::run(&self.context(parameters, describe), query)?;
                Ok(Outcome { tag: format!("SELECT {}", rows.rows.len()), rows: Some(rows), notice: None })
            }
            Statement::ShowVariable { variable } => {
                let words: Vec<&str> = variable.iter().map(|ident| ident.value.as_str()).collect();
                let name = words.join(".").to_ascii_lowercase();
                let unknown = || PgError::error("42704", format!("unrecognized configuration parameter \"{name}\""));
                let value = catalog::setting(&self.server, &self.settings, &name).ok_or_else(unknown)?;
                let rows = Rows {
                    columns: vec![(name.clone(), crate::sql::types::PgType::Text)],
                    rows: vec![vec![crate::sql::types::Datum::Text(value)]],
                };
                Ok(Outcome { rows: Some(rows), tag: "SHOW".to_owned(), notice: None })
            }
            _ => Ok(Outcome::default()),
        }
    }

    pub fn context<'a>(&'a self, parameters: &'a [Typed], describe: bool) -> Context<'a> {
        Context { server: &self.server, session: &self.settings, local: self.local, parameters, describe }
    }

    fn set(&mut self, set: &Set) -> Result<Outcome, PgError> {
        match set {
            Set::SingleAssignment { variable, values, .. } => {
                // With a prefix it belongs to an extension, and is taken whether that is loaded or not.
                let name = match variable.0.len() {
                    1 => plain_name(variable)?,
                    _ => variable.to_string().to_ascii_lowercase(),
                };
                let text: Vec<String> =
                    values.iter().map(|value| value.to_string().trim_matches('\'').to_owned()).collect();
                if crate::disk::settings::POSTMASTER_PARAMETERS.contains(&name.as_str()) {
                    let message = format!("parameter \"{name}\" cannot be changed without restarting the server");
                    return Err(PgError::error("55P02", message));
                }
                self.settings.insert(name, text.join(", "));
            }
            Set::SetTimeZone { .. } | Set::SetNames { .. } => {}
            other => return Err(PgError::unsupported(format_args!("SET {other}"))),
        }
        Ok(Outcome { tag: "SET".to_owned(), ..Outcome::default() })
    }
}
