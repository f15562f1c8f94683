//! A drop-in for etcd's unit, and the commands around it.

use super::env::{IGNORED, of_the_cluster, own};
use super::{Cluster, Start, companions, word};

const FOLDER: &str = "/etc/systemd/system/etcd.service.d";

pub(super) fn text(cluster: &Cluster, start: &Start) -> String {
    let mut out = format!(
        "# On {}, as root, with etcd {}.\n{}",
        start.name,
        cluster.starts_on.join(" or "),
        companions(cluster)
    );
    out.push_str(&format!(
        "mkdir -p {FOLDER}\ncat > {FOLDER}/10-restored.conf <<'END_OF_DROP_IN'\n[Service]\n"
    ));
    let line = |(name, value): (&str, String)| format!("Environment=\"{name}={}\"\n", escaped(&value));
    out.extend(own(cluster, start).into_iter().map(line));
    out.push_str(IGNORED);
    out.extend(of_the_cluster(cluster).into_iter().map(line));
    out.push_str("END_OF_DROP_IN\n");
    out.push_str(
        "# An EnvironmentFile= of the unit (Debian: /etc/default/etcd) and flags in its ExecStart= win over\n\
         # Environment=: what is set above must not be set there. Certificates and client URLs stay as they are.\n\
         systemctl cat etcd\n",
    );
    if !start.owned {
        out.push_str("# If etcd runs as a user of its own, which packages call etcd:\n");
        let places: Vec<_> =
            std::iter::once(&start.data_dir).chain(&start.wal_dir).map(|path| word(path)).collect();
        out.push_str(&format!("chown -R etcd:etcd {}\n", places.join(" ")));
    }
    if cluster.size > 1 {
        out.push_str("# Once every member is restored; one alone waits for others:\n");
    }
    out.push_str("systemctl daemon-reload\nsystemctl start etcd\n");
    out
}

/// A value inside double quotes: `%` starts a specifier, and `\` an escape.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{one, two};
    use super::*;

    #[test]
    fn a_member_alone() {
        let (cluster, start) = one();
        let expected = "\
# On node1, as root, with etcd 3.6 or 3.7.
# The only member: others join later, with empty data directories. Started on its old
# data, an old member could talk to this one, and crash or spoil it.
mkdir -p /etc/systemd/system/etcd.service.d
cat > /etc/systemd/system/etcd.service.d/10-restored.conf <<'END_OF_DROP_IN'
[Service]
Environment=\"ETCD_NAME=node1\"
Environment=\"ETCD_DATA_DIR=/var/lib/etcd\"
Environment=\"ETCD_LISTEN_PEER_URLS=https://10.20.30.101:2380\"
Environment=\"ETCD_INITIAL_ADVERTISE_PEER_URLS=https://10.20.30.101:2380\"
# etcd reads these three only where it finds no data, by a wrong path say. \"existing\" makes
# it look for the other members then; with \"new\" it would start an empty cluster.
Environment=\"ETCD_INITIAL_CLUSTER=node1=https://10.20.30.101:2380\"
Environment=\"ETCD_INITIAL_CLUSTER_TOKEN=etcd-cluster\"
Environment=\"ETCD_INITIAL_CLUSTER_STATE=existing\"
END_OF_DROP_IN
# An EnvironmentFile= of the unit (Debian: /etc/default/etcd) and flags in its ExecStart= win over
# Environment=: what is set above must not be set there. Certificates and client URLs stay as they are.
systemctl cat etcd
# If etcd runs as a user of its own, which packages call etcd:
chown -R etcd:etcd /var/lib/etcd
systemctl daemon-reload
systemctl start etcd
";
        assert_eq!(text(&cluster, &start), expected);
    }

    #[test]
    fn one_of_several() {
        let (cluster, starts) = two();
        let text = text(&cluster, &starts[0]);
        for line in [
            "# One of 2 members of cluster 5bcc13b438f35d3b, state 8d1f-03: all of them must be restored,",
            "Environment=\"ETCD_MAX_LEARNERS=2\"",
            "Environment=\"ETCD_NAME=node 1\"",
            "Environment=\"ETCD_WAL_DIR=/fast/wal\"",
            "Environment=\"ETCD_LISTEN_PEER_URLS=https://0.0.0.0:2380\"",
            "Environment=\"ETCD_QUOTA_BACKEND_BYTES=8589934592\"",
            "Environment=\"ETCD_INITIAL_CLUSTER_TOKEN=a \\\"$b\\\"%%\"",
            "# Once every member is restored; one alone waits for others:",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("chown"), "an owner was asked for: {text}");
        let (cluster, mut starts) = two();
        starts[0].owned = false;
        starts[0].data_dir = "/srv/my etcd".to_owned();
        let text = super::text(&cluster, &starts[0]);
        assert!(text.contains("\nchown -R etcd:etcd '/srv/my etcd' /fast/wal\n"), "{text}");
    }
}
