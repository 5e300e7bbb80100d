//! Statements that change something, and how a session commits them.

use pgdrill_net::Socket;
use pgwire::messages::{PgWireBackendMessage, response::TransactionStatus};
use sqlparser::ast::Statement;

use super::{
    backend::Client,
    commit::Committed,
    session::{End, Outcome, Session},
};
use crate::{
    PgError,
    disk::record::Change,
    sql::{catalog, eval::Typed, statements},
};

impl Session {
    pub(super) async fn role<S: Socket>(
        &mut self,
        client: &mut Client<S>,
        create: bool,
        name: &str,
        password: Option<String>,
    ) -> Result<Outcome, End> {
        let verb = if create { "CREATE ROLE" } else { "ALTER ROLE" };
        self.refuse_read_only(verb).map_err(End::With)?;
        let exists = self.server.state().db.roles.contains_key(name);
        if create && exists {
            return Err(End::With(PgError::error("42710", format!("role \"{name}\" already exists"))));
        }
        if !create && !exists {
            return Err(End::With(PgError::error("42704", format!("role \"{name}\" does not exist"))));
        }
        let change = Change::Role { name: name.to_owned(), password };
        self.apply(client, vec![change], verb.to_owned()).await
    }

    fn refuse_read_only(&self, verb: &str) -> Result<(), PgError> {
        let read_only = catalog::setting(&self.server, &self.settings, "transaction_read_only");
        if read_only.as_deref() == Some("on") {
            return Err(PgError::error("25006", format!("cannot execute {verb} in a read-only transaction")));
        }
        Ok(())
    }

    pub(super) async fn write<S: Socket>(
        &mut self,
        client: &mut Client<S>,
        statement: &Statement,
        parameters: &[Typed],
    ) -> Result<Outcome, End> {
        let verb = match statement {
            Statement::Insert(_) => "INSERT",
            Statement::CreateTable(_) => "CREATE TABLE",
            Statement::Drop { .. } => "DROP TABLE",
            Statement::Update { .. } => "UPDATE",
            Statement::Delete(_) => "DELETE",
            _ => "this statement",
        };
        self.refuse_read_only(verb).map_err(End::With)?;
        let (changes, tag) = statements::changes(&self.context(parameters, false), statement).map_err(End::With)?;
        self.apply(client, changes, tag).await
    }

    /// Commits changes, or keeps them until the end of the transaction block.
    async fn apply<S: Socket>(
        &mut self,
        client: &mut Client<S>,
        changes: Vec<Change>,
        tag: String,
    ) -> Result<Outcome, End> {
        if self.status == TransactionStatus::Transaction {
            self.pending.extend(changes);
            return Ok(Outcome { tag, ..Outcome::default() });
        }
        self.commit(client, changes, tag).await
    }

    pub(super) async fn commit_block<S: Socket>(&mut self, client: &mut Client<S>) -> Result<Outcome, End> {
        let changes = std::mem::take(&mut self.pending);
        let failed = self.status == TransactionStatus::Error;
        self.status = TransactionStatus::Idle;
        if failed {
            return Ok(Outcome { tag: "ROLLBACK".to_owned(), ..Outcome::default() });
        }
        self.commit(client, changes, "COMMIT".to_owned()).await
    }

    async fn commit<S: Socket>(
        &mut self,
        client: &mut Client<S>,
        changes: Vec<Change>,
        tag: String,
    ) -> Result<Outcome, End> {
        if changes.is_empty() {
            return Ok(Outcome { tag, ..Outcome::default() });
        }
        let level = catalog::setting(&self.server, &self.settings, "synchronous_commit").unwrap_or_default();
        match self.server.commit(changes, &level, &self.cancel).await {
            Ok(Committed::Acknowledge(notice)) => Ok(Outcome { rows: None, tag, notice }),
            Ok(Committed::Close(warning)) => {
                // The client may be gone; it is not acknowledged either way.
                let _ = client.send(PgWireBackendMessage::NoticeResponse(warning.to_notice())).await;
                Err(End::Quietly)
            }
            // Everybody is thrown out after a PANIC, without a word.
            Err(error) if error.severity == "PANIC" => Err(End::Quietly),
            Err(error) => Err(End::With(error)),
        }
    }
}
