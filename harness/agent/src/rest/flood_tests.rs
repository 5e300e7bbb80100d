//! Clients that mean no good, over real sockets of this machine: the agent's answers go on, and what they occupy is bounded.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pgdrill_net::TokioNet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{client::Client, *};
use crate::{
    config::CtlConfig,
    fixtures::{FakeKv, FakePostgres, Heard, config, parts},
};

const ROOM: usize = 40;

async fn serve(heard: Heard) -> (SocketAddr, JoinHandle<()>) {
    let mut config = config();
    config.restapi.connections = ROOM;
    config.restapi.request_queue_size = 1024;
    let parts = parts(config, FakeKv::default(), FakePostgres::default(), heard);
    let server = Server::bind(&parts).await.unwrap();
    let address = server.local_addr().unwrap();
    (address, tokio::spawn(server.serve(Arc::clone(&parts))))
}

/// How many of them the server has not closed.
async fn open(clients: &mut [TcpStream]) -> usize {
    let mut open = 0;
    for client in clients {
        let mut answer = [0; 1024];
        let closed = loop {
            match timeout(Duration::from_millis(5), client.read(&mut answer)).await {
                Ok(Ok(0) | Err(_)) => break true,
                Ok(Ok(_)) => {}
                Err(_) => break false,
            }
        };
        open += usize::from(!closed);
    }
    open
}

async fn check(address: SocketAddr) -> u16 {
    let client = Client::new(TokioNet, None, &CtlConfig::default());
    let url = format!("http://{address}/health");
    let answer = client.request(Method::GET, &url, None, Duration::from_secs(5)).await;
    answer.expect("a health check is answered whoever else is there").status.as_u16()
}

#[tokio::test]
async fn slow_clients_neither_keep_a_health_check_out_nor_their_places() {
    let heard = Heard::default();
    let (address, serving) = serve(heard.clone()).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /patroni HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        slow.push(client);
    }
    for _ in 0..3 {
        for client in &mut slow {
            // Those that were let go learn it here.
            let _ = client.write_all(b"X-Slow: y\r\n").await;
        }
        assert_eq!(check(address).await, 503);
        sleep(Duration::from_millis(50)).await;
    }
    let left = open(&mut slow).await;
    assert!((1..=ROOM / 4).contains(&left), "{left} connections of one address are open");
    let said = heard.all().join("\n");
    assert!(said.contains("too many connections, the latest from 127.0.0.1"), "{said}");
    serving.abort();
}

#[tokio::test]
async fn bodies_that_never_end_are_not_kept() {
    let (address, serving) = serve(Heard::default()).await;
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = b"POST /mpp HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n";
        client.write_all(head).await.unwrap();
        // As much as it takes; refused, it may be closed in between.
        let _ = timeout(Duration::from_millis(200), client.write_all(&vec![b' '; (1 << 20) - 5])).await;
        let mut answer = [0; 32];
        let told = timeout(Duration::from_secs(5), client.read(&mut answer)).await.expect("an answer, or the end");
        if let Ok(length @ 1..) = told {
            assert!(answer[..length].starts_with(b"HTTP/1.1 413"), "{:?}", String::from_utf8_lossy(&answer));
        }
        clients.push(client);
    }
    assert_eq!(check(address).await, 503);
    assert_eq!(open(&mut clients).await, 0, "what is refused is not waited for");
    serving.abort();
}

#[tokio::test]
async fn a_head_without_an_end_is_refused_before_it_fills_anything() {
    let (address, serving) = serve(Heard::default()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /patroni HTTP/1.1\r\nHost: x\r\nX-Long: {}", "y".repeat(60_000));
    let _ = client.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), client.read_to_end(&mut answer)).await.expect("it is closed");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(check(address).await, 503);
    serving.abort();
}
