//! A control plane of kubeadm: etcd and the API server are static pods, which
//! run while their manifests are in a folder.
//!
//! Source: kubernetes `cmd/kubeadm/app/phases/etcd/local.go` (flags, the volume
//! `etcd-data`, mounted where its hostPath is) and
//! `cmd/kubeadm/app/constants/constants.go`, 1.35; the same since 1.22.

use std::fmt::Write as _;

use super::{Cluster, DATA_DIR as DATA, Other, Start, is_plain, word};

pub(super) fn text(cluster: &Cluster, starts: &[Start]) -> String {
    let mut out = format!(
        "# A control plane of kubeadm, with its default paths; an image of etcd {}.\n\n\
         # 1. On every control-plane node: stop etcd and the API server, and wait until both are gone.\n\
         mkdir -p /root/stopped\n\
         mv /etc/kubernetes/manifests/etcd.yaml /etc/kubernetes/manifests/kube-apiserver.yaml /root/stopped/\n\
         {GONE}\n",
        cluster.starts_on.join(" or "),
    );
    if cluster.size > 1 {
        several(&mut out, cluster, starts);
    } else {
        for start in starts {
            one(&mut out, cluster, start);
        }
    }
    out
}

/// One member is restored, and the others join it.
fn one(out: &mut String, cluster: &Cluster, start: &Start) {
    let name = &start.name;
    push(
        out,
        &format!(
            "# 2. On every other control-plane node: put the old data aside. An old member that comes back could\n\
         #    talk to the new one, and crash or spoil it. (A disk of its own: move only {DATA}/member.)\n\
         mv -T {DATA} {DATA}.old\n\n\
         # 3. On {name}, {}: look into the stopped manifest.\n",
            if cluster.is_shipped {
                "once its old data is put aside as well and the restored is there"
            } else {
                "where the data was restored"
            }
        ),
    );
    manifest(out, cluster, start);
    push(out, &format!("\n# 4. On {name}: start etcd, and wait for it.\n{START}{ETCDCTL}"));
    push(out, "until ec endpoint health; do sleep 2; done\nec member list -w table\n\n");
    push(out, "# 5. The others, one at a time, the next only when the one before is healthy.");
    let placeholder =
        [Other { name: "NAME".to_owned(), urls: "https://ADDRESS:2380".to_owned(), is_learner: false }];
    let others = match cluster.others.as_slice() {
        [] => placeholder.as_slice(),
        others => {
            push(
                out,
                " These are those of the\n#    snapshot: leave out what is gone for good, and mind new names and addresses.",
            );
            others
        }
    };
    let healthy = if others.iter().any(|other| other.is_learner) {
        "ec endpoint health && ec endpoint status --cluster"
    } else {
        "ec endpoint health --cluster"
    };
    let mut members = cluster.initial_cluster.clone();
    for Other { name: other, urls, is_learner } in others {
        members.extend(urls.split(',').map(|url| format!(",{other}={url}")));
        push(
            out,
            &format!(
                "\n#    On {name}:\n\
             ec member add {} {}--peer-urls={}\n\
             #    On {other}, where {DATA} is absent or empty: in /root/stopped/etcd.yaml, set\n\
             #      --initial-cluster={members}\n\
             #      --initial-cluster-state=existing\n{START}\
             #    On {name}:\n\
             until ec member list | grep -qF {} && {healthy}; do sleep 2; done",
                word(other),
                if *is_learner { "--learner " } else { "" },
                word(urls),
                word(&format!(", started, {other}, "))
            ),
        );
    }
    if others.iter().any(|other| other.is_learner) {
        push(
            out,
            "\n#    Who had no vote has none again; once it has caught up: ec member promote ID (ec member list has it).",
        );
    }
    push(out, &format!("\n\n{}", rest(6)));
}

/// Several members are restored, and start together.
fn several(out: &mut String, cluster: &Cluster, starts: &[Start]) {
    let how = if cluster.is_shipped {
        "put the old data aside (mv -T /var/lib/etcd /var/lib/etcd.old), and\n#    bring each member to its node: the page of the restore has the commands"
    } else {
        "restore, from the same file with the same flags"
    };
    push(
        out,
        &format!(
            "# 2. On every node of the new cluster: {how}.\n\
             #    The state must be {} on all of them, and the cluster {}.\n\
             #    No etcd starts before all {} are there.\n\n",
            cluster.state, cluster.id, cluster.size
        ),
    );
    push(out, "# 3. On each of these nodes: look into the stopped manifest.\n");
    for start in starts {
        if starts.len() > 1 {
            push(out, &format!("# On {}:\n", start.name));
        }
        manifest(out, cluster, start);
    }
    push(
        out,
        &format!(
            "\n# 4. On all of these nodes, at once: start etcd. One alone waits for a second one.\n{START}"
        ),
    );
    if cluster.voters.len() == cluster.size {
        push(
            out,
            &format!(
                "#    On one of them, wait until all are healthy.\n{ETCDCTL}\
                 until ec endpoint health --cluster; do sleep 2; done\n"
            ),
        );
    } else {
        push(
            out,
            &format!(
                "#    On one that votes ({}), wait until a majority does, and all {size} answer: of learners only the\n\
                 #    status can be asked.\n{ETCDCTL}\
                 until ec endpoint health && all=$(ec endpoint status --cluster) && \
                 [ \"$(echo \"$all\" | wc -l)\" -ge {size} ]; do sleep 2; done\n",
                cluster.voters.join(", "),
                size = cluster.size
            ),
        );
    }
    push(out, "ec endpoint status --cluster -w table\n\n");
    push(out, &rest(5));
}

/// Waits until no container is left. Where crictl has no answer, nobody knows, and it
/// waits as well; crictl says why.
const GONE: &str = "\
until out=$(crictl ps -q --name '^(etcd|kube-apiserver)$') && [ -z \"$out\" ]; do sleep 2; done
";

const START: &str = "mv /root/stopped/etcd.yaml /etc/kubernetes/manifests/\n";

const ETCDCTL: &str = "\
ec() {
  crictl exec \"$(crictl ps -q --name '^etcd$')\" etcdctl --endpoints=https://127.0.0.1:2379 \\
    --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt \\
    --key=/etc/kubernetes/pki/etcd/server.key \"$@\"
}
";

/// What comes once etcd is up on all nodes.
fn rest(first: u8) -> String {
    format!(
        "# {first}. On every control-plane node, once etcd is up on all of them: the API server.\n\
         mv /root/stopped/kube-apiserver.yaml /etc/kubernetes/manifests/\n\
         until crictl ps -q --name '^kube-apiserver$' | grep -q .; do sleep 2; done\n\n\
         # {}. On every control-plane node, once `kubectl get --raw /readyz` says ok: what remembers the old state\n\
         #    starts anew. On every node, workers too: the kubelet.\n\
         crictl stop $(crictl ps -q --name '^(kube-controller-manager|kube-scheduler)$')\n\
         systemctl restart kubelet\n",
        first.saturating_add(1)
    )
}

/// What a manifest must say for one member. Inside the container the data is
/// where its volume is mounted, so `--data-dir` stays.
fn manifest(out: &mut String, cluster: &Cluster, start: &Start) {
    push(
        out,
        &format!(
            "#    --data-dir and the mountPath stay as they are. These must be there; --initial-cluster may say\n\
         #    anything, as it is not read where there is data.\n\
         #      --name={}\n\
         #      --initial-advertise-peer-urls={}\n\
         #      --listen-peer-urls={}\n\
         #      --initial-cluster={}\n",
            start.name, start.advertised, start.listens_on, cluster.initial_cluster
        ),
    );
    if let Some(quota) = cluster.quota {
        push(
            out,
            &format!(
                "#    This one as well, or more: the database has nearly outgrown the default of 2 GiB.\n\
             #      --quota-backend-bytes={quota}\n"
            ),
        );
    }
    if let Some(learners) = cluster.max_learners {
        push(out, &format!("#    And this one, from etcd 3.6 on.\n#      --max-learners={learners}\n"));
    }
    push(out, "grep -nE -- '--(name|initial|listen-peer|data-dir|quota)' /root/stopped/etcd.yaml\n");
    if start.data_dir != DATA {
        data_path(out, &start.data_dir);
    }
    if let Some(wal_dir) = &start.wal_dir {
        wal_path(out, start, wal_dir);
    }
}

fn data_path(out: &mut String, data_dir: &str) {
    push(
        out,
        &format!(
            "#    The data is in {data_dir}: the hostPath of the volume etcd-data must lead there. A later\n\
         #    `kubeadm upgrade` writes {DATA} again: move the data there some day, or set etcd.local.dataDir.\n"
        ),
    );
    // The comma is sed's here.
    if is_plain(data_dir) && !data_dir.contains(',') {
        push(
            out,
            &format!(
                "sed -i 's,^\\( *path:\\) {DATA}$,\\1 {data_dir},' /root/stopped/etcd.yaml\n\
             grep -B3 'name: etcd-data' /root/stopped/etcd.yaml\n"
            ),
        );
    }
}

fn wal_path(out: &mut String, start: &Start, wal_dir: &str) {
    let inside = wal_dir.strip_prefix(&start.data_dir).filter(|rest| rest.starts_with('/'));
    if let Some(inside) = inside {
        push(out, &format!("#    The WAL is apart; add\n#      --wal-dir={DATA}{inside}\n"));
    } else {
        push(
            out,
            &format!(
                "#    The WAL is apart; add to the command, to volumeMounts, and to volumes:\n\
             #      - --wal-dir={DATA}-wal\n\
             #      - {{name: etcd-wal, mountPath: {DATA}-wal}}\n\
             #      - {{name: etcd-wal, hostPath: {{path: {wal_dir:?}, type: Directory}}}}\n"
            ),
        );
    }
}

fn push(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = out.write_str(text);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{one, other, two};
    use super::*;

    #[test]
    fn one_member_and_the_others_join() {
        let (cluster, start) = one();
        let expected = r#"# A control plane of kubeadm, with its default paths; an image of etcd 3.6 or 3.7.

# 1. On every control-plane node: stop etcd and the API server, and wait until both are gone.
mkdir -p /root/stopped
mv /etc/kubernetes/manifests/etcd.yaml /etc/kubernetes/manifests/kube-apiserver.yaml /root/stopped/
until out=$(crictl ps -q --name '^(etcd|kube-apiserver)$') && [ -z "$out" ]; do sleep 2; done

# 2. On every other control-plane node: put the old data aside. An old member that comes back could
#    talk to the new one, and crash or spoil it. (A disk of its own: move only /var/lib/etcd/member.)
mv -T /var/lib/etcd /var/lib/etcd.old

# 3. On node1, where the data was restored: look into the stopped manifest.
#    --data-dir and the mountPath stay as they are. These must be there; --initial-cluster may say
#    anything, as it is not read where there is data.
#      --name=node1
#      --initial-advertise-peer-urls=https://10.20.30.101:2380
#      --listen-peer-urls=https://10.20.30.101:2380
#      --initial-cluster=node1=https://10.20.30.101:2380
grep -nE -- '--(name|initial|listen-peer|data-dir|quota)' /root/stopped/etcd.yaml

# 4. On node1: start etcd, and wait for it.
mv /root/stopped/etcd.yaml /etc/kubernetes/manifests/
ec() {
  crictl exec "$(crictl ps -q --name '^etcd$')" etcdctl --endpoints=https://127.0.0.1:2379 \
    --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt \
    --key=/etc/kubernetes/pki/etcd/server.key "$@"
}
until ec endpoint health; do sleep 2; done
ec member list -w table

# 5. The others, one at a time, the next only when the one before is healthy. These are those of the
#    snapshot: leave out what is gone for good, and mind new names and addresses.
#    On node1:
ec member add node2 --peer-urls=https://10.20.30.102:2380
#    On node2, where /var/lib/etcd is absent or empty: in /root/stopped/etcd.yaml, set
#      --initial-cluster=node1=https://10.20.30.101:2380,node2=https://10.20.30.102:2380
#      --initial-cluster-state=existing
mv /root/stopped/etcd.yaml /etc/kubernetes/manifests/
#    On node1:
until ec member list | grep -qF ', started, node2, ' && ec endpoint health --cluster; do sleep 2; done
#    On node1:
ec member add node3 --peer-urls=https://10.20.30.103:2380
#    On node3, where /var/lib/etcd is absent or empty: in /root/stopped/etcd.yaml, set
#      --initial-cluster=node1=https://10.20.30.101:2380,node2=https://10.20.30.102:2380,node3=https://10.20.30.103:2380
#      --initial-cluster-state=existing
mv /root/stopped/etcd.yaml /etc/kubernetes/manifests/
#    On node1:
until ec member list | grep -qF ', started, node3, ' && ec endpoint health --cluster; do sleep 2; done

# 6. On every control-plane node, once etcd is up on all of them: the API server.
mv /root/stopped/kube-apiserver.yaml /etc/kubernetes/manifests/
until crictl ps -q --name '^kube-apiserver$' | grep -q .; do sleep 2; done

# 7. On every control-plane node, once `kubectl get --raw /readyz` says ok: what remembers the old state
#    starts anew. On every node, workers too: the kubelet.
crictl stop $(crictl ps -q --name '^(kube-controller-manager|kube-scheduler)$')
systemctl restart kubelet
"#;
        assert_eq!(text(&cluster, &[start]), expected);
    }

    #[test]
    fn several_start_together_from_wherever_their_data_is() {
        let (cluster, starts) = two();
        let expected = r#"# 2. On every node of the new cluster: restore, from the same file with the same flags.
#    The state must be 8d1f-03 on all of them, and the cluster 5bcc13b438f35d3b.
#    No etcd starts before all 2 are there.

# 3. On each of these nodes: look into the stopped manifest.
# On node 1:
#    --data-dir and the mountPath stay as they are. These must be there; --initial-cluster may say
#    anything, as it is not read where there is data.
#      --name=node 1
#      --initial-advertise-peer-urls=https://a:2380
#      --listen-peer-urls=https://0.0.0.0:2380
#      --initial-cluster=node 1=https://a:2380,node2=https://b:2380
#    This one as well, or more: the database has nearly outgrown the default of 2 GiB.
#      --quota-backend-bytes=8589934592
#    And this one, from etcd 3.6 on.
#      --max-learners=2
grep -nE -- '--(name|initial|listen-peer|data-dir|quota)' /root/stopped/etcd.yaml
#    The data is in /srv/etcd: the hostPath of the volume etcd-data must lead there. A later
#    `kubeadm upgrade` writes /var/lib/etcd again: move the data there some day, or set etcd.local.dataDir.
sed -i 's,^\( *path:\) /var/lib/etcd$,\1 /srv/etcd,' /root/stopped/etcd.yaml
grep -B3 'name: etcd-data' /root/stopped/etcd.yaml
#    The WAL is apart; add to the command, to volumeMounts, and to volumes:
#      - --wal-dir=/var/lib/etcd-wal
#      - {name: etcd-wal, mountPath: /var/lib/etcd-wal}
#      - {name: etcd-wal, hostPath: {path: "/fast/wal", type: Directory}}
# On node2:
"#;
        let found = text(&cluster, &starts);
        assert!(found.contains(expected), "{found}");
        let order = [
            "# 3. ",
            "# 4. On all of these nodes, at once",
            "health --cluster",
            "# 5. On every control-plane node",
        ];
        let places: Vec<_> = order.map(|words| found.find(words)).into_iter().flatten().collect();
        assert!(places.len() == order.len() && places.is_sorted(), "{places:?}\n{found}");
        assert!(!found.contains("member add"), "nobody joins: {found}");
    }

    /// Runs what was printed, with `before` in front of it, for at most ten seconds, and says
    /// whether it came to its end, and what it printed.
    fn run(before: &str, script: &str) -> (bool, String) {
        let script = format!("sleep() {{ :; }}\n{before}\n{script}");
        let mut command = std::process::Command::new("timeout");
        let output = command.args(["10", "sh", "-c", &script]).output().expect("a shell");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn lines_with<'t>(text: &'t str, words: &str) -> Vec<&'t str> {
        text.lines().filter(|line| line.contains(words)).collect()
    }

    #[test]
    fn it_waits_for_the_end_of_containers_also_while_crictl_has_no_answer() {
        let (cluster, start) = one();
        let text = text(&cluster, &[start]);
        let waits = lines_with(&text, "^(etcd|kube-apiserver)$");
        assert_eq!(waits.len(), 1, "{text}");
        let folder = tempfile::tempdir().expect("a folder");
        let asked = folder.path().join("asked");
        // No answer twice, then both, then one, then none.
        let crictl = format!(
            "crictl() {{\n  echo x >> {asked}\n  case $(wc -l < {asked}) in\n    1|2) return 1;;\n    3) echo a; echo b;;\n    \
             4) echo b;;\n  esac\n}}",
            asked = asked.display()
        );
        assert_eq!(run(&crictl, waits[0]), (true, String::new()));
        assert_eq!(std::fs::read_to_string(&asked).expect("asked").lines().count(), 5);
    }

    /// As etcdctl answers where node3 is a learner: it takes no question about its health,
    /// and is the last that says where it can be reached.
    const WITH_A_LEARNER: &str = "\
n=0
ec() {
  case \"$*\" in
    'endpoint health') echo asked >> \"$ASKED\";;
    'endpoint health --cluster') return 1;;
    'endpoint status --cluster') echo node1; echo node2; [ $(wc -l < \"$ASKED\") -lt 3 ] || echo node3;;
    'member list') echo '1, started, node1, '; echo '3, started, node3, ';;
  esac
}";

    #[test]
    fn learners_are_waited_for_by_what_they_answer() {
        let (cluster, starts) = two();
        let voters = vec!["node 1".to_owned(), "node2".to_owned()];
        let cluster = Cluster { size: 3, voters, ..cluster };
        let found = text(&cluster, &starts);
        assert!(found.contains("#    On one that votes (node 1, node2), wait until"), "{found}");
        assert!(!found.contains("health --cluster"), "{found}");
        let waits = lines_with(&found, "until ec ");
        assert_eq!(waits.len(), 1, "{found}");
        let folder = tempfile::tempdir().expect("a folder");
        let asked = folder.path().join("asked");
        let before = format!("ASKED={}\n{WITH_A_LEARNER}", asked.display());
        assert!(run(&before, waits[0]).0, "{}", waits[0]);
        assert_eq!(std::fs::read_to_string(&asked).expect("asked").lines().count(), 3, "until all answer");
    }

    #[test]
    fn a_learner_that_joins_is_waited_for_and_gets_no_vote() {
        let (cluster, start) = one();
        let learner = Other { is_learner: true, ..other("node3", "https://c:2380") };
        let cluster = Cluster { others: vec![learner], ..cluster };
        let found = text(&cluster, &[start]);
        assert!(found.contains("\nec member add node3 --learner --peer-urls=https://c:2380\n"), "{found}");
        assert!(found.contains("ec member promote ID"), "{found}");
        let waits = lines_with(&found, "until ec member list");
        assert_eq!(waits.len(), 1, "{found}");
        let folder = tempfile::tempdir().expect("a folder");
        let before = format!("ASKED={}\n{WITH_A_LEARNER}", folder.path().join("asked").display());
        assert!(run(&before, waits[0]).0, "{}", waits[0]);
    }

    #[test]
    fn nothing_to_paste_holds_what_sed_would_take_for_its_own() {
        for data_dir in ["/srv/my etcd", "/srv/a&b", "/srv/it's", "/srv/a,b"] {
            let (cluster, start) = one();
            let start = Start { data_dir: data_dir.to_owned(), ..start };
            let found = text(&cluster, &[start]);
            assert!(found.contains(data_dir) && !found.contains("sed -i"), "{found}");
        }
    }

    #[test]
    fn without_known_others_there_are_places_for_them() {
        let (cluster, start) = one();
        let cluster = Cluster { others: Vec::new(), ..cluster };
        let start = Start { wal_dir: Some("/var/lib/etcd/wal".to_owned()), ..start };
        let found = text(&cluster, &[start]);
        assert!(found.contains("\nec member add NAME --peer-urls=https://ADDRESS:2380\n"), "{found}");
        assert!(found.contains("\n#      --wal-dir=/var/lib/etcd/wal\n"), "{found}");
    }

    #[test]
    fn the_manifest_of_kubeadm_is_changed_in_one_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest = folder.path().join("etcd.yaml");
        let text_of = |path: &str| {
            format!(
                "    - --data-dir=/var/lib/etcd\n    - mountPath: /var/lib/etcd\n      name: etcd-data\n  volumes:\n  - hostPath:\n      \
                 path: /etc/kubernetes/pki/etcd\n      type: DirectoryOrCreate\n    name: etcd-certs\n  - hostPath:\n      path: {path}\n      \
                 type: DirectoryOrCreate\n    name: etcd-data\n"
            )
        };
        std::fs::write(&manifest, text_of("/var/lib/etcd")).expect("written");
        let mut script = String::new();
        data_path(&mut script, "/srv/etcd");
        let script = script.replace("/root/stopped/etcd.yaml", manifest.to_str().expect("UTF-8"));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
        assert_eq!(std::fs::read_to_string(&manifest).expect("there"), text_of("/srv/etcd"));
        assert!(String::from_utf8_lossy(&output.stdout).contains("path: /srv/etcd"), "{output:?}");
    }
}
