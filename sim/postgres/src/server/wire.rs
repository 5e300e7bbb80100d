//! Framing of the PostgreSQL wire protocol, both ends, on pgwire's message types.

use bytes::BytesMut;
use pgwire::{
    error::PgWireError,
    messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion},
};
use tokio_util::codec::{Decoder, Encoder};

/// The server's end: reads what frontends send.
#[derive(Debug)]
pub(crate) struct ServerCodec(DecodeContext);

impl ServerCodec {
    /// Of a connection on which nothing was said yet.
    pub fn fresh() -> Self {
        let mut context = DecodeContext::default();
        context.protocol_version = ProtocolVersion::PROTOCOL3_0;
        Self(context)
    }

    /// The negotiation of encryption is over.
    pub fn expect_startup(&mut self) {
        self.0.awaiting_frontend_ssl = false;
    }

    /// The startup packet was read.
    pub fn started(&mut self) {
        self.0.awaiting_frontend_startup = false;
    }
}

impl Decoder for ServerCodec {
    type Item = PgWireFrontendMessage;
    type Error = PgWireError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, PgWireError> {
        PgWireFrontendMessage::decode(buffer, &self.0)
    }
}

impl Encoder<PgWireBackendMessage> for ServerCodec {
    type Error = PgWireError;

    fn encode(&mut self, message: PgWireBackendMessage, buffer: &mut BytesMut) -> Result<(), PgWireError> {
        message.encode(buffer)
    }
}

/// The client's end: used by the walreceiver, `pg_basebackup` and `pg_rewind`.
#[derive(Debug)]
pub(crate) struct ClientCodec(DecodeContext);

impl ClientCodec {
    pub fn new() -> Self {
        let mut context = DecodeContext::default();
        context.protocol_version = ProtocolVersion::PROTOCOL3_0;
        context.awaiting_frontend_ssl = false;
        context.awaiting_frontend_startup = false;
        Self(context)
    }
}

impl Decoder for ClientCodec {
    type Item = PgWireBackendMessage;
    type Error = PgWireError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, PgWireError> {
        PgWireBackendMessage::decode(buffer, &self.0)
    }
}

impl Encoder<PgWireFrontendMessage> for ClientCodec {
    type Error = PgWireError;

    fn encode(&mut self, message: PgWireFrontendMessage, buffer: &mut BytesMut) -> Result<(), PgWireError> {
        message.encode(buffer)
    }
}
