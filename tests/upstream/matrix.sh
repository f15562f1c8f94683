#!/usr/bin/env bash
# Restores what each line of etcd wrote, for each line, as one member, three, and
# three with a learner, with a bump and without, and starts it on every line that
# is said to start. One line of output for each; some twenty-five minutes on two cores.
#
#   matrix.sh [BIN-DIR]        # with the binaries that build.sh makes
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${1:-$here/bin}
bin=$(mkdir -p "$bin" && cd "$bin" && pwd)
for line in 3.4 3.5 3.6 3.7; do
  [[ -x $bin/etcd-$line && -x $bin/etcdctl-$line ]] || "$here/build.sh" "$bin"
  "$bin/etcd-$line" --version | sed -n "s/^etcd Version: /etcd $line: /p"
done
cd "$here/../.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
ETCDSNAP_UPSTREAM_BIN=$bin ETCDSNAP_REQUIRE_UPSTREAM=1 ETCDSNAP_MATRIX=whole \
  cargo test --test real_etcd _wrote_lives_again -- --nocapture --test-threads 2 2>&1 \
  | tee "$out" | grep -aE '^MATRIX|^test result|panicked' || true
grep -aq '^test result: ok' "$out" || { echo 'matrix.sh: failed' >&2; exit 1; }
printf 'matrix.sh: %s restores lived again\n' "$(grep -ac '^MATRIX.*ok$' "$out")"
