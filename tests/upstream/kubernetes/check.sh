#!/usr/bin/env bash
# Compares etcdsnap with a real API server: see README.md beside this script.
#
#   check.sh [BIN-DIR] [--record OUT-DIR]
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
bin=$here/../bin
record=
while [[ $# -gt 0 ]]; do
  case $1 in
    --record) record=${2:?--record needs a directory}; shift 2 ;;
    *) bin=$1; shift ;;
  esac
done
mkdir -p "$bin"
bin=$(cd "$bin" && pwd)
etcdsnap=${ETCDSNAP:-$root/target/release/etcdsnap}

# shellcheck source=cluster.sh
source "$here/cluster.sh"

# compare SNAPSHOT ANSWERS [OPTION…]
compare() {
  local snapshot=$1 said=$2 compared=0 resource form forms options theirs
  shift 2
  while read -r resource; do
    [[ -e $said/table/$resource.txt ]] || continue
    case $resource in
      componentstatuses) continue ;; # asked of the components, not stored
      # Stored as core events; renewed between answer and snapshot.
      events.events.k8s.io) continue ;;
      leases.coordination.k8s.io) forms=(table wide) ;;
      *) forms=(table wide yaml json) ;;
    esac
    for form in "${forms[@]}"; do
      case $form in
        table) options=() theirs=$said/table/$resource.txt ;;
        wide) options=(-o wide) theirs=$said/wide/$resource.txt ;;
        yaml) options=(-o yaml --show-managed-fields) theirs=$said/yaml/$resource.yaml ;;
        json) options=(-o json) theirs=$said/json/$resource.json ;;
      esac
      "$etcdsnap" get "$snapshot" "$resource" -A --now "$(cat "$said/recorded-at")" "${options[@]}" "$@" \
        >"$work/ours" 2>"$work/errors" || differs "get $resource -o $form: exit $?: $(cat "$work/errors")"
      if [[ $form == yaml || $form == json ]]; then
        cmp -s "$work/ours" "$theirs" && continue
        diff "$theirs" "$work/ours" | head -10 >&2 || true
      else
        diff <(mask "$theirs") <(mask "$work/ours") >"$work/diff" && continue
        head -10 "$work/diff" >&2
      fi
      differs "$resource: -o $form differs"
    done
    compared=$((compared + 1))
  done <"$said/resources.txt"
  echo "compared $compared resources of $(basename "$snapshot")"
}

# take NAME: answers and snapshot of the running cluster.
take() {
  answers "$work/$1-answers"
  "$bin/etcdctl-3.6" --endpoints "$client" snapshot save "$work/$1.db" >/dev/null 2>&1
  if [[ -n $record ]]; then
    mkdir -p "$record"
    cp -r "$work/$1-answers" "$work/$1.db" "$record/"
  fi
}

start plain
populate
take plain
stop_servers
compare "$work/plain.db" "$work/plain-answers"

cat >"$work/encryption.yaml" <<EOF
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers: [{aescbc: {keys: [{name: k1, secret: $(openssl rand -base64 32)}]}}, {identity: {}}]
- resources: [configmaps]
  providers: [{secretbox: {keys: [{name: k2, secret: $(openssl rand -base64 32)}]}}, {identity: {}}]
- resources: ["*.*"]
  providers: [{aesgcm: {keys: [{name: k3, secret: $(openssl rand -base64 32)}]}}, {identity: {}}]
EOF
start encrypted "$work/encryption.yaml"
populate
take encrypted
stop_servers
compare "$work/encrypted.db" "$work/encrypted-answers" --encryption-config "$work/encryption.yaml"
"$etcdsnap" encryption "$work/encrypted.db" --encryption-config "$work/encryption.yaml" >/dev/null \
  || differs "the key file does not open the backup"

# An exported namespace is accepted by an empty cluster, and is what it was.
"$etcdsnap" export "$work/plain.db" >"$work/manifests.yaml"
start fresh
kubectl create --validate=strict -f "$work/manifests.yaml" >"$work/applied" 2>"$work/refused" || true
if [[ -s $work/refused ]]; then
  cat "$work/refused" >&2
  # Custom resources come in the second round, when their types are there.
  kubectl wait --for=condition=Established crd --all --timeout=30s >/dev/null 2>&1 || true
  kubectl apply -f "$work/manifests.yaml" >"$work/applied" 2>"$work/refused" \
    || differs "the exported manifests are refused: $(head -3 "$work/refused")"
fi
for resource in deployments.apps services configmaps secrets widgets.example.com; do
  wanted=$(grep -c . <(KUBECONFIG=$KUBECONFIG kubectl get "$resource" -n shop -o name) || true)
  had=$(grep -c "\"namespace\": \"shop\"" "$work/plain-answers/json/$resource.json" || true)
  [[ $wanted -gt 0 || $had -eq 0 ]] || differs "no $resource came back in namespace shop"
done
stop_servers

[[ $failures -eq 0 ]] || die "$failures differences"
echo "all the same"
