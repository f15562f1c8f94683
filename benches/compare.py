#!/usr/bin/env python3
"""Compares whole processes with upstream's tools, on the same file.

    benches/compare.py SNAPSHOT [--bin DIR] [--scratch DIR] [--pairs N] [--only JOB] [--cold]

DIR holds etcdutl-3.6 and etcdutl-3.7 (tests/upstream/build.sh makes them);
target/release/etcdsnap must be built. Each job runs ours and theirs in turn,
at least nine times each, after a run of both that does not count. Printed are
the medians, and the median and quartiles of the ratios of neighbouring runs:
machines differ and drift, ratios within one run do so least.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from damage import damage

ROOT = Path(__file__).resolve().parent.parent


def timed(command, before=None, codes=(0,)):
    """Seconds that a command takes; `before` prepares, untimed. `codes`: exit codes that are answers."""
    if before:
        before()
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.monotonic() - start
    if done.returncode not in codes:
        sys.exit(f"{' '.join(map(str, command))}\nexit {done.returncode}: {done.stderr.decode()[-2000:]}")
    return seconds


def first_line(command):
    """Seconds until a command has written its first line."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        seconds = time.monotonic() - start
        process.stdout.read()
    return seconds


def drop(path):
    """Takes a file out of the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def compare(name, bar, ours, theirs, pairs):
    """Alternates two measurements and prints their ratio."""
    ours(), theirs()
    runs = [(ours(), theirs()) for _ in range(pairs)]
    ratios = sorted(a / b for a, b in runs)
    low, middle, high = statistics.quantiles(ratios, n=4)
    mine = statistics.median(a for a, _ in runs)
    other = statistics.median(b for _, b in runs)
    met = "" if bar is None else (" met" if middle <= bar else " NOT MET")
    bar = "" if bar is None else f"  bar {bar}{met}"
    print(f"{name:42} {mine:8.3f} s {other:8.3f} s   ratio {middle:.3f} ({low:.3f} to {high:.3f}){bar}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--bin", type=Path, default=ROOT / "tests/upstream/bin")
    parser.add_argument("--scratch", type=Path, default=None, help="where restored directories go")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--only", default="")
    parser.add_argument("--cold", action="store_true", help="take the file out of the cache before each run")
    options = parser.parse_args()
    snapshot, pairs = options.snapshot, max(options.pairs, 9)
    etcdsnap = ROOT / "target/release/etcdsnap"
    etcdutl = options.bin / "etcdutl-3.6"
    size = snapshot.stat().st_size
    prepare = (lambda: drop(snapshot)) if options.cold else None
    run = lambda command: (lambda: timed(command, prepare))
    status = run([etcdutl, "snapshot", "status", "-w", "json", snapshot])
    scratch = Path(tempfile.mkdtemp(dir=options.scratch))
    print(f"{snapshot.name}: {size} bytes, {os.cpu_count()} cores, {pairs} pairs, {'cold' if options.cold else 'warm'}")
    print(f"{'job':42} {'etcdsnap':>10} {'other':>10}")

    def restored(tool):
        def go():
            target = scratch / "restored"
            shutil.rmtree(target, ignore_errors=True)
            os.sync()
            seconds = timed([*tool, snapshot, "--data-dir", target], prepare)
            shutil.rmtree(target)
            return seconds
        return go

    cluster = ",".join(f"n{number}=http://10.0.0.{number}:2380" for number in (1, 2, 3))

    def all_members():
        target = scratch / "members"
        shutil.rmtree(target, ignore_errors=True)
        os.sync()
        command = [etcdsnap, "restore", "-q", snapshot, "--all-members", "--out-dir", target]
        seconds = timed([*command, "--initial-cluster", cluster], prepare)
        shutil.rmtree(target)
        return seconds

    probe = scratch / "probe"
    probe.write_bytes(b"a")
    clones = subprocess.run(["cp", "--reflink=always", probe, scratch / "clone"], stderr=subprocess.DEVNULL, check=False)
    clones = clones.returncode == 0

    def copied(copies=1):
        # Copies that are there at the same time, as members are: memory that a
        # deleted copy leaves is filled again faster than memory that is new.
        targets = [scratch / f"copy-{number}" for number in range(copies)]
        for target in targets:
            target.unlink(missing_ok=True)
        os.sync()
        one_by_one = 'from=$1; shift; for to; do cp --reflink=never "$from" "$to" && sync "$to" || exit 1; done'
        seconds = timed(["sh", "-c", one_by_one, "sh", snapshot, *targets], prepare)
        for target in targets:
            target.unlink()
        return seconds

    def hashed_copy():
        # Upstream's command writes into its input.
        copy = scratch / "hashkv.db"
        shutil.copyfile(snapshot, copy)
        seconds = timed([options.bin / "etcdutl-3.7", "hashkv", "-w", "json", copy])
        copy.unlink()
        return seconds

    # Copies that are damaged the same way each time, made when they are first asked for.
    made = {}

    def damaged(kind):
        if kind not in made:
            made[kind] = scratch / f"{kind}.db"
            damage(snapshot, made[kind], pages=1000 if kind == "damaged" else 0, metas=kind == "unreached")
        return made[kind]

    def answered(*words, of):
        return lambda: timed([etcdsnap, words[0], "-q", damaged(of), *words[1:]], codes=(0, 1))

    def salvaged(of):
        def go():
            target = scratch / "salvaged.db"
            target.unlink(missing_ok=True)
            file = damaged(of) if of else snapshot
            os.sync()
            seconds = timed([etcdsnap, "salvage", "-q", file, target], prepare, codes=(0, 1))
            target.unlink()
            return seconds
        return go

    jobs = [
        ("verify, 1000 damaged pages : verify", 1.3, answered("verify", of="damaged"),
         run([etcdsnap, "verify", "-q", snapshot])),
        ("salvage : cp + sync", 3.0, salvaged(None), copied),
        ("salvage, 1000 damaged pages : cp + sync", 3.0, salvaged("damaged"), copied),
        ("salvage, nothing reached : cp + sync", 3.0, salvaged("unreached"), copied),
        ("carve, nothing reached : 500 MB/s", 1.0, answered("carve", of="unreached"), lambda: size / 500e6),
        ("verify : openssl dgst -sha256", 1.15, run([etcdsnap, "verify", "-q", snapshot]),
         run(["openssl", "dgst", "-sha256", snapshot])),
        ("status -w json : etcdutl status", 0.17 if size < 1.5e9 else 0.12,
         run([etcdsnap, "status", "-w", "json", snapshot]), status),
        ("hashkv : etcdutl hashkv (3.7)", 0.10, run([etcdsnap, "hashkv", "-w", "json", snapshot]), hashed_copy),
        ("keys : etcdutl status", 0.4, run([etcdsnap, "keys", snapshot]), status),
        ("list -A : etcdutl status", 0.4, run([etcdsnap, "list", "-A", snapshot]), status),
        ("list : etcdutl status", 0.4, run([etcdsnap, "list", snapshot]), status),
        ("keys, first line : 0.15 s", 1.0, lambda: first_line([etcdsnap, "keys", snapshot]), lambda: 0.15),
        ("list -A, first line : 0.15 s", 1.0, lambda: first_line([etcdsnap, "list", "-A", snapshot]), lambda: 0.15),
        ("restore : etcdutl restore", 0.45, restored([etcdsnap, "restore", "-q"]),
         restored([etcdutl, "snapshot", "restore"])),
        ("restore : cp + sync", 1.2, restored([etcdsnap, "restore", "-q"]), copied),
        # Where the file system clones, each further member costs next to nothing.
        ("restore of three : one", 1.3 if clones else None, all_members, restored([etcdsnap, "restore", "-q"])),
        ("restore of three : cp + sync of three", 1.0, all_members, lambda: copied(3)),
        ("restore without events : cp + sync", None,
         restored([etcdsnap, "restore", "-q", "--drop-prefix", "/registry/events/"]), copied),
        ("restore, compacted : cp + sync", None, restored([etcdsnap, "restore", "-q", "--compact", "now"]), copied),
    ]
    # Against the seconds that were set as bars for a store of 100,000 pods.
    get = [etcdsnap, "get", snapshot]
    names = subprocess.run([*get, "pods", "-A", "--no-headers"], capture_output=True, text=True, check=False)
    rows = names.stdout.splitlines()
    if rows:
        namespace, name = rows[len(rows) // 2].split()[:2]
        jobs += [
            ("get pods -A : 0.6 s", 1.0, run([*get, "pods", "-A"]), lambda: 0.6),
            ("get pods -A, first row : 0.25 s", 1.0, lambda: first_line([*get, "pods", "-A"]), lambda: 0.25),
            ("get pods -A -o yaml : 2 s", 1.0, run([*get, "pods", "-A", "-o", "yaml"]), lambda: 2.0),
            ("get pod NAME : 0.12 s", 1.0, run([*get, "pod", name, "-n", namespace]), lambda: 0.12),
            ("--version : 0.005 s", 1.0, run([etcdsnap, "--version"]), lambda: 0.005),
        ]
    try:
        for name, bar, ours, theirs in jobs:
            if options.only in name:
                compare(name, bar, ours, theirs, pairs)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"largest resident set of any process, mapped file included: {peak // 1024} MiB")


if __name__ == "__main__":
    main()
