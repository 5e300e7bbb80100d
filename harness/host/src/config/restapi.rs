//! `restapi` and `ctl`.

use pgdrill_agent::config::{CtlConfig, RestapiConfig, RestapiTls, ServerTokens, VerifyClient};
use pgdrill_yaml::{At, Fields, Reader, Value, patroni as warts, without_secrets};

use super::{
    required,
    value::{connect_address, host_port, path, scalars, switch, user_and_password, whole, word},
};

const PORT: u16 = 8008;

/// `restapi`.
pub(super) fn restapi(reader: &mut Reader<'_>, at: &At<'_>) -> Option<RestapiConfig> {
    let mut fields = reader.fields(at);
    let listen = required(reader, &mut fields, "listen", "where it listens, such as 0.0.0.0:8008");
    let parsed = listen.as_ref().and_then(|at| host_port(reader, at, PORT));
    let connect = connect_address(reader, &mut fields, listen.as_ref().filter(|_| parsed.is_some()), PORT);
    let listen = parsed;
    let authentication = fields.take_set("authentication").and_then(|at| user_and_password(reader, &at));
    let tls = tls(reader, &mut fields);
    let allowlist = fields.take_set("allowlist").map(|at| allowlist(reader, &at)).unwrap_or_default();
    let members = fields.take_set("allowlist_include_members").and_then(|at| switch(reader, &at));
    let http = fields.take_set("http_extra_headers").map(|at| headers(reader, &at)).unwrap_or_default();
    let https = fields.take_set("https_extra_headers").map(|at| headers(reader, &at)).unwrap_or_default();
    let queue = fields.take_set("request_queue_size").and_then(|at| whole(reader, &at, 0..=4096, "connections"));
    let tokens = fields.take_set("server_tokens").and_then(|at| tokens(reader, &at));
    // Python's threads.
    fields.take("thread_pool_size");
    if let Some(at) = fields.take_set("ciphers") {
        reader.wrong(&at, "nothing: remove restapi.ciphers").help =
            "pgdrill's TLS is rustls: TLS 1.2 and 1.3 with safe cipher suites only, and OpenSSL's names mean nothing to it"
                .into();
    }
    warts::finish(reader, &fields);
    Some(RestapiConfig {
        authentication,
        tls,
        allowlist,
        allowlist_include_members: members.unwrap_or(false),
        http_extra_headers: http,
        https_extra_headers: https,
        request_queue_size: queue.unwrap_or(5),
        server_tokens: tokens.unwrap_or_default(),
        ..RestapiConfig::new(listen?, connect?)
    })
}

fn tls(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<RestapiTls> {
    let certfile = fields.take_set("certfile").and_then(|at| path(reader, &at));
    let keyfile = fields.take_set("keyfile").and_then(|at| path(reader, &at));
    no_passphrase(reader, fields);
    let cafile = fields.take_set("cafile").and_then(|at| path(reader, &at));
    let verify = fields.take_set("verify_client");
    let words =
        [("none", VerifyClient::None), ("optional", VerifyClient::Optional), ("required", VerifyClient::Required)];
    let verify_client = verify.as_ref().and_then(|at| reader.word(at, &words)).unwrap_or_default();
    if let Some(at) = verify.filter(|_| verify_client != VerifyClient::None) {
        if certfile.is_none() {
            reader.wrong(&at, "restapi.certfile beside it, or no restapi.verify_client").help =
                "without TLS nobody shows a certificate".into();
        } else if cafile.is_none() {
            reader.wrong(&at, "restapi.cafile beside it, or no restapi.verify_client").help =
                "it says whose certificates are trusted: without it every client is turned away".into();
        }
    }
    Some(RestapiTls { certfile: certfile?, keyfile, cafile, verify_client })
}

/// rustls reads no encrypted keys: a passphrase would be passed over.
fn no_passphrase(reader: &mut Reader<'_>, fields: &mut Fields<'_>) {
    if let Some(at) = fields.take_set("keyfile_password") {
        let expected = format!("nothing: remove {}, and name a keyfile that is not encrypted", at.path);
        reader.problem(at.node.place, &at.path, "a passphrase", expected).help =
            "pgdrill reads no encrypted keys: `openssl pkey -in KEYFILE -out KEYFILE.new` takes the passphrase away, and \
             permissions 0600 protect the file"
                .into();
    }
}

/// Host names, addresses and networks.
fn allowlist(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<String> {
    let expected = "a host name, an address or a network such as 10.0.0.0/8";
    let mut legal = Vec::new();
    for item in reader.items(at) {
        let Some(text) = word(reader, &item, expected) else { continue };
        let network = text.split_once('/');
        let right = match network {
            Some((address, bits)) => match (address.parse::<std::net::IpAddr>(), bits.parse::<u8>()) {
                (Ok(address), Ok(bits)) => bits <= if address.is_ipv4() { 32 } else { 128 },
                _ => false,
            },
            None => !text.contains(char::is_whitespace),
        };
        if right {
            legal.push(text);
        } else {
            reader.wrong(&item, expected);
        }
    }
    legal
}

fn headers(reader: &mut Reader<'_>, at: &At<'_>) -> std::collections::BTreeMap<String, String> {
    let headers = scalars(reader, at);
    for (name, value) in &headers {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) || value.contains(['\r', '\n']) {
            // The value may be a password.
            let found = format!("{:?} with {} bytes", without_secrets(name), value.len());
            reader.problem(at.node.place, &at.field(name), found, "a header's name, and its value in one line");
        }
    }
    headers
}

/// Patroni compares the words without regard to case.
fn tokens(reader: &mut Reader<'_>, at: &At<'_>) -> Option<ServerTokens> {
    match &at.node.value {
        Value::Text(text) if text.eq_ignore_ascii_case("original") => Some(ServerTokens::Original),
        Value::Text(text) if text.eq_ignore_ascii_case("minimal") => Some(ServerTokens::Minimal),
        Value::Text(text) if text.eq_ignore_ascii_case("productonly") => Some(ServerTokens::ProductOnly),
        _ => {
            reader.wrong(at, "Original, Minimal or ProductOnly");
            None
        }
    }
}

/// `ctl`.
pub(super) fn ctl(reader: &mut Reader<'_>, at: &At<'_>) -> CtlConfig {
    let mut fields = reader.fields(at);
    let it = CtlConfig {
        authentication: fields.take_set("authentication").and_then(|at| user_and_password(reader, &at)),
        insecure: fields.take_set("insecure").and_then(|at| switch(reader, &at)).unwrap_or(false),
        cacert: fields.take_set("cacert").and_then(|at| path(reader, &at)),
        certfile: fields.take_set("certfile").and_then(|at| path(reader, &at)),
        keyfile: fields.take_set("keyfile").and_then(|at| path(reader, &at)),
    };
    no_passphrase(reader, &mut fields);
    warts::finish(reader, &fields);
    if it.insecure {
        let place = at.node.get("insecure").map_or(at.node.place, |node| node.place);
        reader.warning(|reader| {
            reader
                .problem(place, &at.field("insecure"), "true", "ctl.cacert with the authority of the certificates")
                .help = "passwords are then sent to whoever answers".into();
        });
    }
    it
}
