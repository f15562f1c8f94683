//! etcd's HTTP gateway: thousands of writes without a process for each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::process::PATIENCE;
use super::store::integer;

/// A connection to the gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    stream: BufReader<TcpStream>,
}

impl Gateway {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a request and waits for its answer; the revision in it.
    #[track_caller]
    pub(crate) fn ask(&mut self, path: &str, body: &Value) -> i64 {
        let body = body.to_string();
        let head =
            format!("POST /v3/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        self.stream.get_mut().write_all((head + &body).as_bytes()).expect("a request");
        let status = self.line();
        let (mut length, mut chunked) = (0, false);
        loop {
            let header = self.line().to_ascii_lowercase();
            match header.split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().expect("a length"),
                Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
                Some(_) => {}
                None => break,
            }
        }
        let answer = if chunked { self.chunks() } else { self.bytes(length) };
        let shown = String::from_utf8_lossy(&answer);
        assert!(status.contains(" 200 "), "{path} {body}: {status} {shown}");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        integer(&answer["header"]["revision"])
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line(), 16).expect("a length");
            answer.extend(self.bytes(length));
            assert_eq!(self.line(), "");
            if length == 0 {
                return answer;
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("an answer");
        bytes
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer");
        line.trim_end().to_owned()
    }
}

pub(crate) fn put(key: &str, value: &[u8], lease: i64) -> Value {
    json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value), "lease": lease})
}

/// A deletion of the keys from `key` up to `end`, or of one.
pub(crate) fn delete(key: &str, end: Option<&str>) -> Value {
    json!({"key": STANDARD.encode(key), "range_end": STANDARD.encode(end.unwrap_or_default())})
}
