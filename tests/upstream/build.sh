#!/usr/bin/env bash
# Builds upstream's own tools at the versions pinned beside this script.
#
#   build.sh [OUT-DIR]
#
# Each etcd-X.Y/ gives OUT-DIR/etcd-X.Y, etcdctl-X.Y and etcdutl-X.Y; bbolt/
# gives OUT-DIR/bbolt. Without OUT-DIR they go to bin/ beside this script, where
# tests/real_etcd looks for them. A binary newer than its go.mod and go.sum is
# kept. An installed etcd and etcdctl (Debian's etcd-server and etcd-client) are
# linked as etcd-3.4 and etcdctl-3.4 if they are of that line. Prints the path
# of every binary.
set -euo pipefail
shopt -s inherit_errexit

die() {
  echo "build.sh: $*" >&2
  exit 1
}

[[ $# -le 1 ]] || die "usage: build.sh [OUT-DIR]"
command -v go >/dev/null || die "go is missing: install Go to build upstream's tools"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$here/bin}"
out=$(cd "${1:-$here/bin}" && pwd)

# build MODULE-DIR PACKAGE NAME
build() {
  local dir=$here/$1 binary=$out/$3
  [[ -s $dir/go.mod && -s $dir/go.sum ]] || die "$dir has no go.mod and go.sum"
  if ! [[ $binary -nt $dir/go.mod && $binary -nt $dir/go.sum ]]; then
    echo "build.sh: building $3" >&2
    # Built aside and renamed: a build cut short leaves no binary behind.
    (cd "$dir" && GOWORK=off go build -mod=readonly -trimpath -o "$binary.new" "$2") \
      || die "cannot build $2 in $dir"
    mv "$binary.new" "$binary"
  fi
  echo "$binary"
}

# link TOOL VERSION-ARGUMENT PACKAGE
link() {
  local tool version
  if ! tool=$(type -P "$1"); then
    echo "build.sh: no $1 is installed (Debian: $3), so there is no $1-3.4" >&2
    return
  fi
  version=$(ETCDCTL_API=3 "$tool" "$2") || die "cannot ask $tool for its version"
  if [[ $version != *ersion:\ 3.4.* ]]; then
    echo "build.sh: $tool is not of line 3.4, so there is no $1-3.4" >&2
    return
  fi
  ln -sf "$tool" "$out/$1-3.4"
  echo "$out/$1-3.4"
}

modules=("$here"/etcd-*/)
[[ -d ${modules[0]} ]] || die "there are no etcd-X.Y directories in $here"
for module in "${modules[@]}"; do
  line=$(basename "$module")
  line=${line#etcd-}
  build "etcd-$line" go.etcd.io/etcd/server/v3 "etcd-$line"
  build "etcd-$line" go.etcd.io/etcd/etcdctl/v3 "etcdctl-$line"
  build "etcd-$line" go.etcd.io/etcd/etcdutl/v3 "etcdutl-$line"
done
build bbolt go.etcd.io/bbolt/cmd/bbolt bbolt
link etcd --version etcd-server
link etcdctl version etcd-client
