//! A member of etcd as a child process, which ends with its value.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::process::{self, PATIENCE, Tools, tail};

/// Two free ports, kept until etcd takes them.
#[derive(Debug)]
pub(crate) struct Seat {
    peer: TcpListener,
    client: TcpListener,
}

impl Seat {
    pub(crate) fn take() -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        Self { peer: bind(), client: bind() }
    }

    pub(crate) fn peer_url(&self) -> String {
        format!("http://{}", self.peer_address())
    }

    /// The ports of a member that has ended. Not before all of its cluster have:
    /// they would wait for an answer from here.
    pub(crate) fn again(ports: Ports) -> Self {
        let bind = |address| TcpListener::bind(address).expect("the port of before");
        Self { peer: bind(ports.peer), client: bind(ports.client) }
    }

    fn peer_address(&self) -> SocketAddr {
        self.peer.local_addr().expect("an address")
    }

    fn client_address(&self) -> SocketAddr {
        self.client.local_addr().expect("an address")
    }
}

/// The ports that a member had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    peer: SocketAddr,
    client: SocketAddr,
}

/// How a member is started.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) line: &'a str,
    pub(crate) name: &'a str,
    pub(crate) data_dir: &'a Path,
    pub(crate) initial_cluster: &'a str,
    pub(crate) more: &'a [&'a str],
}

/// A running member.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    line: String,
    log: PathBuf,
    peer_address: SocketAddr,
    client_address: SocketAddr,
}

impl Server {
    /// Starts a member and does not wait for it.
    pub(crate) fn spawn(tools: &Tools, seat: Seat, start: &Start<'_>) -> Self {
        let (peer_url, peer_address) = (seat.peer_url(), seat.peer_address());
        let client_address = seat.client_address();
        let client_url = format!("http://{client_address}");
        let log = start.data_dir.with_extension("log");
        let mut command = tools.command(&format!("etcd-{}", start.line));
        command
            .args(["--name", start.name, "--data-dir"])
            .arg(start.data_dir)
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--initial-cluster", start.initial_cluster])
            .args(start.more)
            .stdin(std::process::Stdio::null())
            .stdout(append(&log))
            .stderr(append(&log));
        drop(seat);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, line: start.line.to_owned(), log, peer_address, client_address }
    }

    /// Starts a member by its environment alone, to which only the client URLs
    /// are added: they are no part of a restore. Does not wait for it.
    pub(crate) fn spawn_by(
        tools: &Tools,
        seat: Seat,
        line: &str,
        data_dir: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let (peer_address, client_address) = (seat.peer_address(), seat.client_address());
        let client_url = format!("http://{client_address}");
        let log = data_dir.with_extension("log");
        let mut command = tools.command(&format!("etcd-{line}"));
        command
            .envs(environment)
            .env("ETCD_LISTEN_CLIENT_URLS", &client_url)
            .env("ETCD_ADVERTISE_CLIENT_URLS", &client_url)
            .stdin(std::process::Stdio::null())
            .stdout(append(&log))
            .stderr(append(&log));
        drop(seat);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, line: line.to_owned(), log, peer_address, client_address }
    }

    /// Starts a member and waits until it answers reads.
    pub(crate) fn start(tools: &Tools, seat: Seat, start: &Start<'_>, user: Option<&str>) -> (Self, Client) {
        let mut server = Self::spawn(tools, seat, start);
        let client = server.client(tools, user);
        server.wait_until_healthy(&client);
        (server, client)
    }

    /// Starts a cluster of one member with nothing in it, or starts it again.
    pub(crate) fn fresh(tools: &Tools, line: &str, folder: &Path, user: Option<&str>) -> (Self, Client) {
        let seat = Seat::take();
        let initial_cluster = format!("fresh={}", seat.peer_url());
        let start = Start {
            line,
            name: "fresh",
            data_dir: &folder.join("fresh"),
            initial_cluster: &initial_cluster,
            more: &[],
        };
        Self::start(tools, seat, &start, user)
    }

    pub(crate) fn client(&self, tools: &Tools, user: Option<&str>) -> Client {
        Client::new(tools, &self.line, self.client_address, user)
    }

    pub(crate) fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Waits until the member answers linearizable reads, so until it has a leader.
    #[track_caller]
    pub(crate) fn wait_until_healthy(&mut self, client: &Client) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child to wait for") {
                panic!("etcd {} ended with {status}; its log:\n{}", self.line, self.log_tail());
            }
            let answer = client.run(&["endpoint", "health"]);
            if answer.succeeded() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "etcd {} is not healthy after {PATIENCE:?}: {}\nits log:\n{}",
                self.line,
                tail(&answer.stderr),
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the member gives up, as it should; what it logged.
    #[track_caller]
    pub(crate) fn wait_until_it_gives_up(mut self) -> String {
        process::wait(&mut self.child, "etcd that should give up");
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// Asks the member to end, and does not wait for it.
    #[track_caller]
    pub(crate) fn tell_to_end(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a child to end");
    }

    /// Ends the member in an orderly way; the ports that it had.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Ports {
        self.tell_to_end();
        process::wait(&mut self.child, "etcd that was told to end");
        Ports { peer: self.peer_address, client: self.client_address }
    }

    /// Ends the member in the midst of whatever it does.
    pub(crate) fn kill(self) {
        drop(self);
    }

    fn log_tail(&self) -> String {
        tail(&std::fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of etcd {} ({}):\n{}", self.line, self.client_address, self.log_tail());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a log to write")
}
