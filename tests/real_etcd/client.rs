//! etcdctl, asked about one endpoint.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Answer, PATIENCE, Tools, run, tail};
use super::store::{Store, integer};

/// etcdctl and whom it asks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    tools: Tools,
    program: String,
    endpoint: String,
    user: Option<String>,
}

impl Client {
    pub(crate) fn new(tools: &Tools, line: &str, address: SocketAddr, user: Option<&str>) -> Self {
        Self {
            tools: tools.clone(),
            program: format!("etcdctl-{line}"),
            endpoint: address.to_string(),
            user: user.map(str::to_owned),
        }
    }

    pub(crate) fn as_user(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self.clone() }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        let mut command = self.tools.command(&self.program);
        // On a busy machine a login alone takes longer than the two seconds that a dial has.
        let patient = ["--command-timeout", "30s", "--dial-timeout", "30s"];
        command.args(["--endpoints", &self.endpoint, "-w", "json"]).args(patient);
        if let Some(user) = &self.user {
            command.args(["--user", user]);
        }
        run(command.args(args))
    }

    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> Value {
        self.run(args).expect(0).json()
    }

    /// Asks again and again until the answer is no refusal.
    #[track_caller]
    pub(crate) fn ask_until_granted(&self, args: &[&str]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.run(args);
            if answer.succeeded() {
                return answer.json();
            }
            assert!(Instant::now() < deadline, "{args:?} is still refused: {}", tail(&answer.stderr));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Everything that is alive, now or at a revision.
    #[track_caller]
    pub(crate) fn store(&self, revision: Option<i64>) -> Store {
        let revision = revision.unwrap_or(0).to_string();
        Store::of_range(&self.ask(&["get", "", "--prefix", "--rev", &revision]))
    }

    /// HashKV at a revision, 0 being the newest, as eight hexadecimal digits.
    #[track_caller]
    pub(crate) fn hashkv(&self, revision: i64) -> String {
        let answer = self.ask(&["endpoint", "hashkv", "--rev", &revision.to_string()]);
        format!("{:08x}", integer(&answer[0]["HashKV"]["hash"]))
    }

    /// Writes a key; the revision of the store afterwards.
    #[track_caller]
    pub(crate) fn put(&self, key: &str, value: &str) -> i64 {
        integer(&self.ask(&["put", key, value])["header"]["revision"])
    }

    /// Ids and names of the members, ordered by name.
    #[track_caller]
    pub(crate) fn members(&self) -> Vec<(String, String)> {
        let answer = self.ask(&["member", "list"]);
        let members = answer["members"].as_array().expect("members");
        let mut members: Vec<_> = members
            .iter()
            .map(|member| {
                // 64 bits without a sign.
                let id = member["ID"].as_u64().expect("an id");
                (format!("{id:x}"), member["name"].as_str().unwrap_or_default().to_owned())
            })
            .collect();
        members.sort_by(|one, other| one.1.cmp(&other.1));
        members
    }

    #[track_caller]
    pub(crate) fn save_snapshot(&self, path: &std::path::Path) {
        self.run(&["snapshot", "save", path.to_str().expect("a path in UTF-8")]).expect(0);
    }
}
