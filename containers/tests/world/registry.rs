//! Pulling from a registry of no use, as the real daemon does it: whatever is wrong, it is an error in words and in time, so
//! that images can be built from Debian packages instead.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use libtest_mimic::Trial;
use pgdrill_containers::images::Engine;

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![
        a_registry_that_refuses_connections_is_told,
        a_registry_without_the_image_is_told,
        a_registry_that_wants_a_password_is_told,
        a_registry_that_never_answers_is_told,
    ]
}

fn a_registry_that_refuses_connections_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr()).expect("a free port").port();
    cannot_be_pulled(port, "connection refused");
}

fn a_registry_without_the_image_is_told() {
    let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    cannot_be_pulled(registry(Some(("404 Not Found", unknown))), "manifest unknown");
}

fn a_registry_that_wants_a_password_is_told() {
    let refused = ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"lab\"", "{}");
    cannot_be_pulled(registry(Some(refused)), "no basic auth credentials");
}

fn a_registry_that_never_answers_is_told() {
    // Newer daemons say it in other words than 20.10.
    let error = pulled_from(registry(None));
    assert!(
        ["deadline exceeded", "Client.Timeout", "nothing was heard"].iter().any(|why| error.contains(why)),
        "{error}"
    );
}

fn cannot_be_pulled(port: u16, why: &str) {
    let error = pulled_from(port);
    assert!(error.contains(why), "{error}");
}

/// Why an image cannot be pulled from a registry on this machine.
fn pulled_from(port: u16) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let image = format!("127.0.0.1:{port}/pgdrill-test/debian:trixie-slim");
    let error = runtime.block_on(async {
        let engine = Engine::connect().await.expect("there is a Docker daemon");
        engine.pull(&image, &|_| {}).await.expect_err("there is no such image").to_string()
    });
    assert!(error.starts_with(&format!("the image {image} is not on this machine and cannot be pulled: ")), "{error}");
    error
}

/// A registry that is there, and answers everything else like this: status line with further headers, and body. `None`: it
/// takes connections and never answers. Its port.
fn registry(answer: Option<(&'static str, &'static str)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that hangs up early has its reasons.
            thread::spawn(move || serve(client, answer));
        }
    });
    port
}

fn serve(mut client: TcpStream, answer: Option<(&str, &str)>) -> std::io::Result<()> {
    let mut request = BufReader::new(client.try_clone()?);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut header = String::new();
    while request.read_line(&mut header)? > 2 {
        header.clear();
    }
    let Some((status, body)) = answer else {
        // Until the daemon loses patience.
        return request.read_to_end(&mut vec![]).map(drop);
    };
    let ping = first.contains(" /v2/ ") && !status.starts_with("401");
    let (status, body) = if ping { ("200 OK", "{}") } else { (status, body) };
    // Of a HEAD only the head is wanted.
    let sent = if first.starts_with("HEAD") { "" } else { body };
    write!(
        client,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{sent}",
        body.len()
    )
}
