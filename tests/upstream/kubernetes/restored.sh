#!/usr/bin/env bash
# Starts a real API server on what was restored from a Kubernetes snapshot, and
# compares all that it lists with what was listed before: see README.md beside
# this script.
#
#   restored.sh [BIN-DIR]
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
bin=${1:-$here/../bin}
mkdir -p "$bin"
bin=$(cd "$bin" && pwd)
etcdsnap=${ETCDSNAP:-$root/target/release/etcdsnap}
# shellcheck source=cluster.sh
source "$here/cluster.sh"

# objects DIR: every object that the server lists, whole, as RESOURCE.json.
objects() {
  local resource
  mkdir -p "$1"
  while read -r resource; do
    kubectl get "$resource" -A -o json --show-managed-fields >"$1/$resource.json" || differs "cannot list $resource"
  done < <(kubectl api-resources --verbs=list -o name | sort -u)
}

# Lists anew, and is told so: a watch from before a bump.
old_watch() {
  timeout 20 "$bin/kubectl-1.35" get --raw "/api/v1/configmaps?watch=1&resourceVersion=$1" 2>&1 || true
}

# lives NAME LEFT-OUT [RESTORE-FLAG…]: restored, started, compared. LEFT-OUT is an
# expression of compare.py on what is not expected to come back.
lives() {
  local name=$1 left_out=$2
  shift 2
  mkdir -p "$work/$name"
  "$etcdsnap" restore "$work/before.db" --data-dir "$work/$name/etcd" -o json "$@" >"$work/$name/restored.json" 2>"$work/$name/said" \
    || { cat "$work/$name/said" "$work/$name/restored.json" >&2; die "restore $*"; }
  start "$name"
  objects "$work/$name/objects"
  python3 "$here/compare.py" "$work/before-objects" "$work/$name/objects" "$left_out" \
    || differs "$name: not what there was"
  # Whoever watched before must list anew, if the revision moved.
  local before after
  before=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["revisionBefore"])' "$work/$name/restored.json")
  after=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["revisionAfter"])' "$work/$name/restored.json")
  if [[ $after -gt $((before + 1000)) ]]; then
    old_watch "$before" | grep -q '"code":410' || differs "$name: a watch from revision $before is not told to start anew"
  fi
  # It takes writes: a new object, a change, a deletion.
  kubectl create configmap after-the-restore --from-literal=a=1 >/dev/null || differs "$name: no new object"
  kubectl annotate namespace shop again=yes --overwrite >/dev/null || differs "$name: no change"
  kubectl delete configmap after-the-restore >/dev/null || differs "$name: no deletion"
  stop_servers
  # And what it left is sound.
  "$etcdsnap" verify "$work/$name/etcd/member/snap/db" >"$work/$name/verified" || { cat "$work/$name/verified" >&2; differs "$name: verify"; }
  echo "$name: all the same, $(find "$work/$name/objects" -name '*.json' | wc -l) types listed"
}

start before
populate
objects "$work/before-objects"
"$bin/etcdctl-3.6" --endpoints "$client" snapshot save "$work/before.db" >/dev/null 2>&1
stop_servers

lives faithful 'False'
lives bumped 'False' --bump-revision auto
lives without-secrets 'resource == "secrets"' --drop-resource secrets
lives without-a-namespace 'namespace == "team-b" or (resource, name) == ("namespaces", "team-b")' \
  --exclude-namespaces team-b --accept-orphans
lives one-namespace 'namespace not in ("", "shop", "kube-system", "kube-node-lease", "kube-public", "default") or (resource, name) == ("namespaces", "team-b")' \
  --include-namespaces shop,kube-system,kube-node-lease,kube-public,default --accept-orphans
lives compacted 'False' --compact now --defrag
lives without-leases 'resource == "events"' --expire-leases

[[ $failures -eq 0 ]] || die "$failures differences"
echo "all the same"
