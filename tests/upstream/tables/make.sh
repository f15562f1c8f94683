#!/usr/bin/env bash
# make.sh: writes fixtures/kube/table-cells/RELEASE.jsonl for each release below.
#
#   make.sh [VERSION...]
#
# Each release is compiled with its own printers, defaults and conversions (some
# minutes each the first time); needs Go and its module proxy. WORK is where the
# modules are made and kept. With OPENSHIFT, a checkout of openshift-apiserver with
# its vendor directory, openshift-RELEASE.jsonl is written too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../fixtures/kube/table-cells
work=${WORK:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)

for version in ${*:-1.21.14 1.24.17 1.35.4 1.37.2}; do
    release=${version%.*}
    module=$work/$release
    mkdir -p "$module"
    cp "$here/objects_test.go" "$here/kubernetes_test.go" "$module"
    cd "$module"
    export GOFLAGS=-mod=mod
    printf 'module tables\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes v%s\n' "$version" > go.mod
    source=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    # The staging modules have to be named: their versions in there are v0.0.0.
    sed -n 's/^\t\(k8s\.io\/[^ ]*\) => \.\/staging.*/\1/p' "$source/go.mod" | while read -r staging; do
        printf 'replace %s => %s v0%s\n' "$staging" "$staging" "${version#1}"
    done >> go.mod
    # Old ones do not build with Go of today.
    old=("replace golang.org/x/sys => golang.org/x/sys v0.30.0" "replace golang.org/x/net => golang.org/x/net v0.35.0")
    [ "$release" != 1.21 ] || printf "%s\n" "${old[@]}" >> go.mod
    {
        printf 'package tables\n\nimport (\n'
        for group in "$source"/pkg/apis/*/install; do
            group=${group%/install}
            printf '\t_ "k8s.io/kubernetes/pkg/apis/%s/install"\n' "${group##*/}"
        done
        printf ')\n'
    } > kinds.go
    go mod tidy
    # All objects of the newest, a third of them of the others.
    fewer=1
    [ "$release" = 1.37 ] && fewer=
    TABLES_RELEASE=$release TABLES_FEWER=$fewer TABLES_OUT=$out/$release.jsonl go test -vet=off -count=1 .
done

if [ -n "${OPENSHIFT:-}" ]; then
    package=$OPENSHIFT/pkg/tables
    mkdir -p "$package"
    # Its go.mod asks for a Go without testing/synctest.
    { printf '//go:build go1.25\n\n'; cat "$here/objects_test.go"; } > "$package/objects_test.go"
    cp "$here/openshift_test.go" "$package"
    cd "$package"
    export GOFLAGS=-mod=vendor
    TABLES_RELEASE=4.21 TABLES_OUT=$out/openshift-4.21.jsonl go test -vet=off -count=1 .
fi
