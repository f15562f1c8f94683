# An etcd and an API server of one's own, filled and asked: for check.sh and
# restored.sh, which set bin, etcdsnap and here before they read this.
# shellcheck shell=bash disable=SC2154

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

for tool in kube-apiserver kubectl; do
  if ! [[ $bin/$tool-1.35 -nt $here/go.mod ]]; then
    echo "building $tool" >&2
    (cd "$here" && GOWORK=off go build -mod=readonly -trimpath -o "$bin/$tool-1.35" "k8s.io/kubernetes/cmd/$tool")
  fi
done
[[ -x $bin/etcd-3.6 && -x $bin/etcdctl-3.6 ]] || "$here/../build.sh" "$bin"
[[ -x $etcdsnap ]] || die "no $etcdsnap: cargo build --release"

work=$(mktemp -d)
pids=()
# The API server first: without its etcd it does not end.
stop_servers() {
  local index pid _
  for ((index = ${#pids[@]} - 1; index >= 0; index--)); do
    pid=${pids[index]}
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null && sleep 0.1 || break; done
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  pids=()
}
trap 'stop_servers; rm -rf "$work"' EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start NAME [ENCRYPTION-CONFIG]: etcd and an API server, KUBECONFIG and client set.
start() {
  local dir=$work/$1 config=${2:-} peer api
  mkdir -p "$dir"
  client=http://127.0.0.1:$(free_port)
  peer=http://127.0.0.1:$(free_port)
  api=$(free_port)
  "$bin/etcd-3.6" --name n1 --data-dir "$dir/etcd" --listen-client-urls "$client" \
    --advertise-client-urls "$client" --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
    --initial-cluster "n1=$peer" >"$dir/etcd.log" 2>&1 &
  pids+=($!)
  openssl genrsa -out "$dir/sa.key" 2048 2>/dev/null
  openssl rsa -in "$dir/sa.key" -pubout -out "$dir/sa.pub" 2>/dev/null
  echo 'test-token,admin,admin,"system:masters"' >"$dir/tokens.csv"
  "$bin/kube-apiserver-1.35" --etcd-servers="$client" --secure-port="$api" --bind-address=127.0.0.1 \
    --cert-dir="$dir/certs" --token-auth-file="$dir/tokens.csv" --authorization-mode=RBAC \
    --service-account-issuer=https://cluster.test --service-account-key-file="$dir/sa.pub" \
    --service-account-signing-key-file="$dir/sa.key" --service-cluster-ip-range=10.0.0.0/24 \
    --allow-privileged=true --disable-admission-plugins=ServiceAccount \
    ${config:+--encryption-provider-config="$config"} >"$dir/api.log" 2>&1 &
  pids+=($!)
  cat >"$dir/kubeconfig" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$api", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: test-token}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
EOF
  export KUBECONFIG=$dir/kubeconfig
  local _
  for _ in $(seq 120); do
    if kubectl get --raw /readyz >/dev/null 2>&1; then return; fi
    sleep 1
  done
  tail -5 "$dir/api.log" >&2
  die "the API server does not become ready"
}

kubectl() {
  "$bin/kubectl-1.35" "$@"
}

populate() {
  local file
  for file in "$here"/objects/*.yaml; do
    # Custom resources need their definitions to be established first.
    kubectl wait --for=condition=Established crd --all --timeout=30s >/dev/null 2>&1 || true
    kubectl create --validate=false -f "$file" >/dev/null
  done
  for file in "$here"/status/*.yaml; do
    kubectl apply --server-side --force-conflicts --subresource=status -f "$file" >/dev/null
  done
  # A history: changes, deletions, and keys that came again.
  local number
  for number in 1 2 3; do kubectl -n shop annotate pod web-1 step="$number" --overwrite >/dev/null; done
  for number in $(seq 20); do kubectl -n team-b create configmap "cm-$number" --from-literal=n="$number" >/dev/null; done
  kubectl -n team-b delete configmap cm-1 cm-2 cm-3 >/dev/null
  kubectl -n shop delete secret db-pass >/dev/null
  kubectl -n shop create secret generic db-pass --from-literal=password=new >/dev/null
}

# answers DIR: what the server says of every resource.
answers() {
  local resource
  mkdir -p "$1"/{table,wide,yaml,json}
  kubectl api-resources --verbs=list -o name | sort -u >"$1/resources.txt"
  while read -r resource; do
    [[ -n $(kubectl get "$resource" -A -o name 2>/dev/null | head -1) ]] || continue
    kubectl get "$resource" -A >"$1/table/$resource.txt"
    kubectl get "$resource" -A -o wide >"$1/wide/$resource.txt"
    kubectl get "$resource" -A -o yaml --show-managed-fields >"$1/yaml/$resource.yaml"
    kubectl get "$resource" -A -o json >"$1/json/$resource.json"
  done <"$1/resources.txt"
  date -u +%FT%TZ >"$1/recorded-at"
}

# Ages go on while they are asked for, and widths with them.
mask() {
  sed -E 's/\b([0-9]+[smhdy]){1,2}\b/AGE/g; s/ +/ /g; s/ $//' "$1"
}

failures=0
differs() {
  echo "$(basename "$0"): $*" >&2
  failures=$((failures + 1))
}
