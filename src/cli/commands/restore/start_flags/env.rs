//! Variables, one a line: a file that systemd takes as EnvironmentFile, and any
//! shell with `.`.

use super::{Cluster, Start, companions, is_plain};

pub(super) fn text(cluster: &Cluster, start: &Start) -> String {
    let mut out = format!(
        "# Environment of {}, with etcd {}. Flags on etcd's command line win over it, and\n\
         # with --config-file etcd reads neither.\n",
        start.name,
        cluster.starts_on.join(" or ")
    );
    out.push_str(&companions(cluster));
    let line = |(name, value): (&str, String)| format!("{name}={}\n", quoted(&value));
    out.extend(own(cluster, start).into_iter().map(line));
    out.push_str(IGNORED);
    out.extend(of_the_cluster(cluster).into_iter().map(line));
    out.push_str(
        "# Not touched by a restore, so as before: client URLs (ETCD_LISTEN_CLIENT_URLS,\n\
         # ETCD_ADVERTISE_CLIENT_URLS) and certificates (ETCD_CERT_FILE, ETCD_PEER_CERT_FILE, ...).\n",
    );
    out
}

/// Why the last three variables are there, and as they are. With "new", a member
/// without data whose companions have not started comes up empty, under the ids
/// of the restored one.
pub(super) const IGNORED: &str = "\
# etcd reads these three only where it finds no data, by a wrong path say. \"existing\" makes\n\
# it look for the other members then; with \"new\" it would start an empty cluster.\n";

/// What etcd reads whether there is data or not.
pub(super) fn own(cluster: &Cluster, start: &Start) -> Vec<(&'static str, String)> {
    let mut list = vec![("ETCD_NAME", start.name.clone()), ("ETCD_DATA_DIR", start.data_dir.clone())];
    list.extend(start.wal_dir.iter().map(|wal_dir| ("ETCD_WAL_DIR", wal_dir.clone())));
    list.push(("ETCD_LISTEN_PEER_URLS", start.listens_on.clone()));
    list.push(("ETCD_INITIAL_ADVERTISE_PEER_URLS", start.advertised.clone()));
    list.extend(cluster.quota.map(|quota| ("ETCD_QUOTA_BACKEND_BYTES", quota.to_string())));
    // From 3.6 on; 3.5 does not limit them and takes no offence.
    list.extend(cluster.max_learners.map(|learners| ("ETCD_MAX_LEARNERS", learners.to_string())));
    list
}

/// What it reads only if there is none.
pub(super) fn of_the_cluster(cluster: &Cluster) -> Vec<(&'static str, String)> {
    vec![
        ("ETCD_INITIAL_CLUSTER", cluster.initial_cluster.clone()),
        ("ETCD_INITIAL_CLUSTER_TOKEN", cluster.token.clone()),
        ("ETCD_INITIAL_CLUSTER_STATE", "existing".to_owned()),
    ]
}

/// Double quotes and these four escapes mean the same to a shell and to systemd;
/// without quotes it is for everybody else, too.
fn quoted(value: &str) -> String {
    if is_plain(value) {
        return value.to_owned();
    }
    let escaped = value.chars().flat_map(|character| {
        let escape = matches!(character, '"' | '\\' | '$' | '`').then_some('\\');
        escape.into_iter().chain(std::iter::once(character))
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{one, two};
    use super::*;

    #[test]
    fn a_member_alone() {
        let (cluster, start) = one();
        let expected = "\
# Environment of node1, with etcd 3.6 or 3.7. Flags on etcd's command line win over it, and
# with --config-file etcd reads neither.
# The only member: others join later, with empty data directories. Started on its old
# data, an old member could talk to this one, and crash or spoil it.
ETCD_NAME=node1
ETCD_DATA_DIR=/var/lib/etcd
ETCD_LISTEN_PEER_URLS=https://10.20.30.101:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://10.20.30.101:2380
# etcd reads these three only where it finds no data, by a wrong path say. \"existing\" makes
# it look for the other members then; with \"new\" it would start an empty cluster.
ETCD_INITIAL_CLUSTER=node1=https://10.20.30.101:2380
ETCD_INITIAL_CLUSTER_TOKEN=etcd-cluster
ETCD_INITIAL_CLUSTER_STATE=existing
# Not touched by a restore, so as before: client URLs (ETCD_LISTEN_CLIENT_URLS,
# ETCD_ADVERTISE_CLIENT_URLS) and certificates (ETCD_CERT_FILE, ETCD_PEER_CERT_FILE, ...).
";
        assert_eq!(text(&cluster, &start), expected);
    }

    #[test]
    fn a_shell_reads_what_is_meant() {
        let (cluster, starts) = two();
        let text = text(&cluster, &starts[0]);
        assert!(
            text.contains("# One of 2 members of cluster 5bcc13b438f35d3b, state 8d1f-03: all of them"),
            "{text}"
        );
        let script = format!(
            "{text}printf '%s|' \"$ETCD_NAME\" \"$ETCD_INITIAL_CLUSTER_TOKEN\" \"$ETCD_WAL_DIR\" \"$ETCD_QUOTA_BACKEND_BYTES\" \"$ETCD_LISTEN_PEER_URLS\""
        );
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
        let found = String::from_utf8_lossy(&output.stdout);
        assert_eq!(found, "node 1|a \"$b\"%|/fast/wal|8589934592|https://0.0.0.0:2380|");
    }
}
