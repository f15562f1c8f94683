//! WAL and `.snap` of a restored member against those that etcd's own restore
//! wrote: `fixtures/restored/README.md` says how.

use std::path::{Path, PathBuf};

use etcdsnap::etcd::line::EtcdLine;
use etcdsnap::etcd::membership::{Member, new_members};
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::etcd::raft::{Index, Metadata, WalSnapshot};
use etcdsnap::etcd::wal::{self, RecordKind, Records};
use etcdsnap::etcd::{snap_file, v2_store};
use serde_json::Value;

/// One set of flags of a restore.
struct Flags {
    suffix: &'static str,
    name: &'static str,
    cluster: &'static str,
    advertised: &'static str,
    token: &'static str,
}

const FLAGS: [Flags; 3] = [
    Flags {
        suffix: "node1",
        name: "node1",
        cluster: "node1=https://10.20.30.101:2380,node2=https://10.20.30.102:2380,\
                  node3=https://10.20.30.103:2380",
        advertised: "https://10.20.30.101:2380",
        token: "etcd-cluster",
    },
    Flags {
        suffix: "bump",
        name: "node1",
        cluster: "node1=https://10.20.30.101:2380",
        advertised: "https://10.20.30.101:2380",
        token: "etcd-cluster",
    },
    Flags {
        suffix: "odd",
        name: "a\"<\u{e9}\u{2028}",
        cluster: "a\"<\u{e9}\u{2028}=HTTP://h:1?x=<&y>,b=unix:///c%20d,b=http://B:2,a\"<\u{e9}\u{2028}=unixs:e",
        advertised: "http://h:1?x=<&y>,unixs:e",
        token: "t<k",
    },
];

/// A folder of fixtures and what it must hold.
struct Case {
    folder: PathBuf,
    line: EtcdLine,
    name: &'static str,
    members: Vec<Member>,
}

impl Case {
    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/restored");
        let mut cases = Vec::new();
        for flags in FLAGS {
            let advertised = PeerUrl::parse_list(flags.advertised).expect("URLs");
            let cluster = InitialCluster::parse(flags.cluster).expect("a cluster");
            cluster.validate(flags.name, &advertised).expect("fits");
            let members = new_members(&cluster, flags.token).expect("distinct ids");
            for version in ["3.4.23", "3.5.33", "3.6.14", "3.7.1"] {
                let folder = root.join(format!("etcd-{version}-{}", flags.suffix));
                if version != "3.4.23" || flags.suffix == "node1" {
                    let line = version.parse().expect("a line");
                    cases.push(Self { folder, line, name: flags.name, members: members.clone() });
                }
            }
        }
        cases
    }

    fn read(&self, name: &str) -> Vec<u8> {
        let path = self.folder.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn wal_head(&self) -> Vec<u8> {
        let node = self.members.iter().find(|member| member.name == self.name).expect("there");
        wal::wal_head(node.id, &self.members, self.line)
    }

    fn snap(&self) -> Vec<u8> {
        let snapshot = snap_file::restored(&self.members, self.line);
        let name = snap_file::file_name(snapshot.metadata.term, snapshot.metadata.index);
        self.read(&name)
    }
}

#[test]
fn wal_heads_are_upstreams() {
    for case in Case::all() {
        assert_eq!(case.wal_head(), case.read("wal"), "{}", case.folder.display());
    }
}

#[test]
fn snap_files_are_upstreams() {
    for case in Case::all() {
        let place = case.folder.display();
        let theirs = case.snap();
        let ours = snap_file::restored(&case.members, case.line);
        if case.line < EtcdLine::V3_6 || case.members.len() == 1 {
            assert_eq!(snap_file::encode(&ours, case.line.encoding()), theirs, "{place}");
            continue;
        }
        let theirs = snap_file::parse(&theirs).expect("sound");
        assert_eq!(ours.metadata, theirs.metadata, "{place}");
        assert_eq!(ours.data.len(), theirs.data.len(), "{place}");
        assert_eq!(without_order(&ours.data), without_order(&theirs.data), "{place}");
    }
}

/// The store with the indexes of its members taken out, after a check that tree
/// and events agree about them.
fn without_order(store: &[u8]) -> Value {
    let mut store: Value = serde_json::from_slice(store).expect("JSON");
    let mut events = store["WatcherHub"]["EventHistory"]["Queue"]["Events"].take();
    let members = &mut store["Root"]["Children"]["0"]["Children"]["members"]["Children"];
    let events = events.as_array_mut().expect("a list");
    for (event, index) in events.iter_mut().filter(|event| !event.is_null()).zip(1..) {
        let node = event["node"].as_object_mut().expect("an event");
        assert_eq!(node.remove("createdIndex"), Some(index.into()));
        assert_eq!(node.remove("modifiedIndex"), Some(index.into()));
        let id = node["key"].as_str().expect("a key").split('/').nth(3).expect("an id").to_owned();
        let directory = members[id.as_str()].as_object_mut().expect("a member");
        for field in ["CreatedIndex", "ModifiedIndex"] {
            assert_eq!(directory.remove(field), Some(index.into()));
            let leaf = directory["Children"]["raftAttributes"].as_object_mut().expect("a leaf");
            assert_eq!(leaf.remove(field), Some(index.into()));
        }
    }
    events.sort_by_key(Value::to_string);
    serde_json::json!([store, events])
}

#[test]
fn upstreams_segments_are_read_to_the_zeros() {
    for case in Case::all() {
        let mut segment = case.read("wal");
        let end = segment.len() as u64;
        segment.resize(usize::try_from(wal::PREALLOCATED).expect("fits"), 0);
        let mut records = Records::new(&segment);
        let read: Vec<_> = records.by_ref().map(|record| record.expect("sound")).collect();
        assert_eq!(records.end().0, end);
        assert_eq!(read.len(), case.members.len() + 5);
        let metadata = Metadata::parse(read[1].data).expect("sound");
        let node = case.members.iter().find(|member| member.id == metadata.node);
        assert_eq!(node.map(|node| node.name.as_str()), Some(case.name));
        let last = read.last().expect("records");
        assert_eq!(last.kind, RecordKind::Snapshot);
        let snapshot = WalSnapshot::parse(last.data).expect("sound");
        assert_eq!(snapshot.index, Index(case.members.len() as u64));
        assert_eq!(snapshot.conf_state.is_some(), case.line.wal_snapshot_has_conf_state());
    }
}

#[test]
fn upstreams_snap_files_are_read() {
    for case in Case::all() {
        let file = case.snap();
        let snapshot = snap_file::parse(&file).expect("sound");
        let ids: Vec<_> = case.members.iter().map(|member| member.id).collect();
        assert_eq!(snapshot.metadata.conf_state.voters, ids);
        // A reader, too, must be able to write the file again.
        assert_eq!(snap_file::encode(&snapshot, case.line.encoding()), file);
        let store = v2_store::restored(&case.members, case.line.v2_gets_fail());
        assert_eq!(snapshot.data.len(), store.len());
    }
}
