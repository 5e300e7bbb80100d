//! The extended query protocol: parse, bind, describe, execute.

use std::{collections::BTreeMap, sync::Arc};

use pgdrill_net::Socket;
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage,
    data::{NoData, ParameterDescription},
    extendedquery::{Bind, BindComplete, CloseComplete, Parse, ParseComplete, PortalSuspended},
    response::{CommandComplete, EmptyQueryResponse},
};

use super::{
    backend::Client,
    session::{End, Session},
};
use crate::{
    PgError,
    sql::{
        eval::Typed,
        output::{self, OutputColumn},
        parse::{Parsed, parse},
        statements,
        types::{Datum, PgType},
    },
};

/// Prepared statements and portals of a session.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    statements: BTreeMap<String, Arc<Prepared>>,
    portals: BTreeMap<String, Portal>,
    /// After an error everything is skipped up to the next `Sync`.
    skipping: bool,
}

#[derive(Debug)]
struct Prepared {
    /// `None`: the empty query.
    statement: Option<Parsed>,
    parameters: Vec<PgType>,
    columns: Vec<OutputColumn>,
}

#[derive(Debug)]
struct Portal {
    prepared: Arc<Prepared>,
    parameters: Vec<Typed>,
    formats: Vec<i16>,
}

impl Session {
    /// Handles every message but `Query` and `Terminate`.
    pub async fn extended_message<S: Socket>(
        &mut self,
        client: &mut Client<S>,
        message: PgWireFrontendMessage,
    ) -> Result<(), End> {
        if matches!(message, PgWireFrontendMessage::Sync(_)) {
            self.extended.skipping = false;
            return client.ready(self.status()).await.map_err(End::With);
        }
        if self.extended.skipping {
            return Ok(());
        }
        match self.step(client, message).await {
            Err(End::With(error)) if error.severity == "ERROR" => {
                self.failed();
                self.extended.skipping = true;
                client.feed(PgWireBackendMessage::ErrorResponse(error.to_response())).await.map_err(End::With)
            }
            other => other,
        }
    }

    async fn step<S: Socket>(&mut self, client: &mut Client<S>, message: PgWireFrontendMessage) -> Result<(), End> {
        let answer = match message {
            PgWireFrontendMessage::Parse(parse) => self.parse(&parse).map_err(End::With)?,
            PgWireFrontendMessage::Bind(bind) => self.bind(bind).map_err(End::With)?,
            PgWireFrontendMessage::Describe(describe) => {
                return self.describe(client, describe.target_type, describe.name.unwrap_or_default()).await;
            }
            PgWireFrontendMessage::Execute(execute) => {
                return self.run_portal(client, &execute.name.unwrap_or_default(), execute.max_rows).await;
            }
            PgWireFrontendMessage::Close(close) => {
                let name = close.name.unwrap_or_default();
                if close.target_type == b'S' {
                    self.extended.statements.remove(&name);
                } else {
                    self.extended.portals.remove(&name);
                }
                PgWireBackendMessage::CloseComplete(CloseComplete::new())
            }
            PgWireFrontendMessage::Flush(_) => {
                return futures::SinkExt::<PgWireBackendMessage>::flush(&mut client.framed)
                    .await
                    .map_err(|error| End::With(PgError::fatal("08006", error.to_string())));
            }
            _ => return Err(End::With(PgError::fatal("08P01", "unexpected message"))),
        };
        client.feed(answer).await.map_err(End::With)
    }

    fn parse(&mut self, message: &Parse) -> Result<PgWireBackendMessage, PgError> {
        let statements = parse(&message.query)?;
        if statements.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(PgError::error("42601", message));
        }
        let statement = statements.first().cloned();
        let (mut parameters, mut columns) = (Vec::new(), Vec::new());
        if let Some(Parsed::Sql(sql)) = &statement {
            parameters = statements::parameter_types(&self.context(&[], true), sql)?;
            let described: Vec<Typed> = parameters.iter().map(|kind| Typed::null(*kind)).collect();
            columns = self.read(sql, &described, true)?.rows.map(|rows| rows.columns).unwrap_or_default();
        }
        let used = highest_placeholder(&message.query);
        parameters.resize(parameters.len().max(used), PgType::Text);
        let prepared = Arc::new(Prepared { statement, parameters, columns });
        self.extended.statements.insert(message.name.clone().unwrap_or_default(), prepared);
        Ok(PgWireBackendMessage::ParseComplete(ParseComplete::new()))
    }

    fn bind(&mut self, bind: Bind) -> Result<PgWireBackendMessage, PgError> {
        let prepared = self.prepared(bind.statement_name.as_deref().unwrap_or_default())?;
        let format = |index: usize| match bind.parameter_format_codes.as_slice() {
            [] => 0,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(0),
        };
        if bind.parameters.len() != prepared.parameters.len() {
            let (given, needed) = (bind.parameters.len(), prepared.parameters.len());
            let message = format!("bind message supplies {given} parameters, but prepared statement requires {needed}");
            return Err(PgError::error("08P01", message));
        }
        let decode = |(index, bytes): (usize, &Option<bytes::Bytes>)| {
            let kind = prepared.parameters[index];
            let binary = format(index) == 1;
            let datum = match bytes {
                None => Datum::Null,
                Some(bytes) => Datum::decode(bytes, kind, binary).map_err(|m| PgError::error("22P03", m))?,
            };
            // A parameter in text format is a literal whose type the statement decides.
            let kind = if binary { kind } else { PgType::Unknown };
            Ok(Typed::new(datum, kind))
        };
        let parameters = bind.parameters.iter().enumerate().map(decode).collect::<Result<_, PgError>>()?;
        let portal = Portal { prepared, parameters, formats: bind.result_column_format_codes };
        self.extended.portals.insert(bind.portal_name.unwrap_or_default(), portal);
        Ok(PgWireBackendMessage::BindComplete(BindComplete::new()))
    }

    fn prepared(&self, name: &str) -> Result<Arc<Prepared>, PgError> {
        let missing = || PgError::error("26000", format!("prepared statement \"{name}\" does not exist"));
        self.extended.statements.get(name).cloned().ok_or_else(missing)
    }

    async fn describe<S: Socket>(&mut self, client: &mut Client<S>, target: u8, name: String) -> Result<(), End> {
        let (prepared, formats) = if target == b'S' {
            let prepared = self.prepared(&name).map_err(End::With)?;
            let types = prepared.parameters.iter().map(|kind| kind.oid()).collect();
            let description = PgWireBackendMessage::ParameterDescription(ParameterDescription::new(types));
            client.feed(description).await.map_err(End::With)?;
            (prepared, Vec::new())
        } else {
            let portal = self.extended.portals.get(&name).ok_or_else(|| End::With(no_portal(&name)))?;
            (Arc::clone(&portal.prepared), portal.formats.clone())
        };
        let answer = if prepared.columns.is_empty() {
            PgWireBackendMessage::NoData(NoData::new())
        } else {
            output::describe(&prepared.columns, &formats)
        };
        client.feed(answer).await.map_err(End::With)
    }

    async fn run_portal<S: Socket>(&mut self, client: &mut Client<S>, name: &str, max_rows: i32) -> Result<(), End> {
        let portal = self.extended.portals.remove(name).ok_or_else(|| End::With(no_portal(name)))?;
        let Some(statement) = &portal.prepared.statement else {
            let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
            return client.feed(empty).await.map_err(End::With);
        };
        let outcome = self.execute(client, statement, &portal.parameters).await?;
        if let Some(notice) = &outcome.notice {
            client.feed(PgWireBackendMessage::NoticeResponse(notice.to_notice())).await.map_err(End::With)?;
        }
        let mut suspended = false;
        if let Some(rows) = &outcome.rows {
            let limit = usize::try_from(max_rows).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
            suspended = rows.rows.len() > limit;
            for row in rows.rows.iter().take(limit) {
                client.feed(output::data_row(&rows.columns, row, &portal.formats)).await.map_err(End::With)?;
            }
        }
        let last = if suspended {
            PgWireBackendMessage::PortalSuspended(PortalSuspended::new())
        } else {
            PgWireBackendMessage::CommandComplete(CommandComplete::new(outcome.tag))
        };
        client.feed(last).await.map_err(End::With)
    }
}

fn no_portal(name: &str) -> PgError {
    PgError::error("34000", format!("portal \"{name}\" does not exist"))
}

/// The highest `$n` in a query. A `$n` inside a string literal counts too: the client then has to send it.
fn highest_placeholder(query: &str) -> usize {
    let numbers = query.split('$').skip(1).filter_map(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    });
    numbers.max().unwrap_or(0)
}
