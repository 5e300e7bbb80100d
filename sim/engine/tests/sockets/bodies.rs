//! The behaviours.

use std::{io::ErrorKind, time::Duration};

use pgdrill_net::{Listener, Net, Socket};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep,
};

use crate::place::Place;

async fn echo<L: Listener>(mut listener: L) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut piece = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut piece).await {
                if stream.write_all(&piece[..count]).await.is_err() {
                    break;
                }
            }
        });
    }
}

async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), word: &[u8]) {
    stream.write_all(word).await.expect("connected");
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, word);
}

pub async fn an_echo_comes_back_by_name<N: Net>(place: Place<N>) {
    let server = place.serve(|_, listener| echo(listener)).await;
    let mut stream = place.connect(&server).await;
    for _ in 0..10 {
        exchange(&mut stream, b"hello").await;
    }
}

pub async fn a_half_closed_connection_still_carries_the_answer<N: Net>(place: Place<N>) {
    let server = place
        .serve(|_, mut listener| async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut question = Vec::new();
            stream.read_to_end(&mut question).await.expect("the client shuts down, it does not reset");
            assert_eq!(question, b"question");
            stream.write_all(&vec![2; 100_000]).await.expect("the client still reads");
        })
        .await;
    let mut stream = place.connect(&server).await;
    stream.write_all(b"question").await.expect("connected");
    stream.shutdown().await.expect("once");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the server closes properly");
    assert_eq!(answer, vec![2; 100_000]);
    let late = stream.write_all(b"more").await.expect_err("this side is shut");
    assert_eq!(late.kind(), ErrorKind::BrokenPipe);
    server.finished().await;
}

pub async fn a_closed_port_refuses_at_once<N: Net>(place: Place<N>) {
    // A port that has just been listened on, and one that was never used.
    let server = place.serve(|_, listener| async move { drop(listener) }).await;
    let port = server.port;
    server.finished().await;
    for port in [port, 1] {
        let started = tokio::time::Instant::now();
        let refused = place.net.connect(place.server, port, &Place::<N>::options()).await;
        assert_eq!(refused.err().map(|e| e.kind()), Some(ErrorKind::ConnectionRefused), "port {port}");
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

pub async fn an_unknown_name_is_an_error<N: Net>(place: Place<N>) {
    assert!(place.net.connect("no-such-host.invalid", 1, &Place::<N>::options()).await.is_err());
}

pub async fn closing_with_unread_bytes_resets_the_peer<N: Net>(place: Place<N>) {
    let server = place
        .serve(|_, mut listener| async move {
            let (stream, _) = listener.accept().await.expect("a client");
            sleep(Duration::from_millis(50)).await;
            drop(stream);
        })
        .await;
    let mut stream = place.connect(&server).await;
    stream.write_all(b"never read").await.expect("connected");
    let error = stream.read(&mut [0; 8]).await.expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub async fn writing_after_the_peer_has_closed_ends_in_a_broken_pipe<N: Net>(place: Place<N>) {
    let server = place.serve(|_, mut listener| async move { drop(listener.accept().await) }).await;
    let mut stream = place.connect(&server).await;
    assert_eq!(stream.read(&mut [0; 8]).await.expect("closed properly"), 0);
    let mut written = 0;
    let error = loop {
        match stream.write_all(b"anybody?").await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "nobody is there");
        sleep(Duration::from_millis(20)).await;
    };
    assert!(written >= 1, "the first write meets a connection that is half open");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

pub async fn a_reset_is_reported_once_and_then_the_stream_ends<N: Net>(place: Place<N>) {
    let server = place
        .serve(|_, mut listener| async move {
            let (stream, _) = listener.accept().await.expect("a client");
            sleep(Duration::from_millis(50)).await;
            drop(stream);
        })
        .await;
    let mut stream = place.connect(&server).await;
    stream.write_all(b"never read").await.expect("connected");
    sleep(Duration::from_millis(200)).await;
    let error = stream.read(&mut [0; 8]).await.expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(stream.read(&mut [0; 8]).await.expect("told already"), 0);
    let error = stream.write_all(b"more").await.expect_err("no connection");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

pub async fn a_slow_reader_gets_every_byte_in_order<N: Net>(place: Place<N>) {
    const BYTES: usize = 3_000_000;
    let pattern = |i: usize| (i * 7 + i / 251) as u8;
    let server = place
        .serve(move |_, mut listener| async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            sleep(Duration::from_millis(200)).await;
            let (mut piece, mut total) = ([0; 4096], 0);
            loop {
                let count = stream.read(&mut piece).await.expect("the client closes properly");
                if count == 0 {
                    break;
                }
                assert!(piece[..count].iter().enumerate().all(|(i, &byte)| byte == pattern(total + i)));
                total += count;
                if total % (64 * 4096) < count {
                    sleep(Duration::from_millis(2)).await;
                }
            }
            assert_eq!(total, BYTES);
        })
        .await;
    let mut stream = place.connect(&server).await;
    let data: Vec<u8> = (0..BYTES).map(pattern).collect();
    stream.write_all(&data).await.expect("all of it");
    stream.shutdown().await.expect("open");
    assert_eq!(stream.read(&mut [0; 8]).await.expect("closed properly"), 0);
    server.finished().await;
}

pub async fn a_port_can_be_bound_again_while_its_connections_live<N: Net>(place: Place<N>) {
    let server = place
        .serve(|net, mut listener| async move {
            let (mut kept, _) = listener.accept().await.expect("the first client");
            let port = listener.local_addr().expect("bound").port();
            drop(listener);
            let mut again = net.listen("0.0.0.0", port).await.expect("no listener has it");
            let (second, _) = again.accept().await.expect("the second client");
            let mut word = [0; 5];
            kept.read_exact(&mut word).await.expect("the first connection lives on");
            kept.write_all(&word).await.expect("in both directions");
            drop(second);
        })
        .await;
    let mut first = place.connect(&server).await;
    sleep(Duration::from_millis(100)).await;
    let _second = place.connect(&server).await;
    exchange(&mut first, b"still").await;
    server.finished().await;
}

pub async fn a_port_cannot_be_bound_twice<N: Net>(place: Place<N>) {
    let server = place
        .serve(|net, listener| async move {
            let port = listener.local_addr().expect("bound").port();
            let error = net.listen("0.0.0.0", port).await.err().map(|e| e.kind());
            assert_eq!(error, Some(ErrorKind::AddrInUse));
        })
        .await;
    server.finished().await;
}

pub async fn dropping_a_listener_resets_what_nobody_accepted<N: Net>(place: Place<N>) {
    let server = place
        .serve(|_, listener| async move {
            sleep(Duration::from_millis(100)).await;
            drop(listener);
        })
        .await;
    let mut stream = place.connect(&server).await;
    let error = stream.read(&mut [0; 8]).await.expect_err("nobody has accepted");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub async fn two_hundred_connections_at_once<N: Net>(place: Place<N>) {
    let server = place.serve(|_, listener| echo(listener)).await;
    let mut open = Vec::new();
    for _ in 0..200 {
        open.push(place.connect(&server).await);
    }
    for (i, stream) in open.iter_mut().enumerate() {
        exchange(stream, &[i as u8; 10]).await;
    }
}

pub async fn both_ends_agree_on_the_addresses<N: Net>(place: Place<N>) {
    let server = place
        .serve(|_, mut listener| async move {
            let (mut stream, peer) = listener.accept().await.expect("a client");
            assert_eq!(stream.peer_addr().expect("connected"), peer);
            let seen = format!("{} {peer}", stream.local_addr().expect("connected"));
            stream.write_all(seen.as_bytes()).await.expect("the client reads");
        })
        .await;
    let mut stream = place.connect(&server).await;
    let mut seen = String::new();
    stream.read_to_string(&mut seen).await.expect("two addresses");
    let own = format!("{} {}", stream.peer_addr().expect("connected"), stream.local_addr().expect("connected"));
    assert_eq!(seen, own);
}

pub async fn shutting_down_twice_is_harmless<N: Net>(place: Place<N>) {
    let server = place.serve(|_, listener| echo(listener)).await;
    let mut stream = place.connect(&server).await;
    exchange(&mut stream, b"hello").await;
    stream.shutdown().await.expect("the first");
    stream.shutdown().await.expect("the second");
    assert_eq!(stream.read(&mut [0; 8]).await.expect("closed properly"), 0);
}

pub async fn what_arrived_before_a_reset_can_still_be_read<N: Net>(place: Place<N>) {
    let server = place
        .serve(|_, mut listener| async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            sleep(Duration::from_millis(50)).await;
            stream.write_all(b"last words").await.expect("the client listens");
            // Closing with unread bytes resets.
            drop(stream);
        })
        .await;
    let mut stream = place.connect(&server).await;
    stream.write_all(b"never read").await.expect("connected");
    sleep(Duration::from_millis(200)).await;
    let mut words = [0; 10];
    stream.read_exact(&mut words).await.expect("they had arrived");
    assert_eq!(&words, b"last words");
    let error = stream.read(&mut [0; 8]).await.expect_err("and then the reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
