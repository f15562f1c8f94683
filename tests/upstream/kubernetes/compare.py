#!/usr/bin/env python3
"""Compares what an API server listed before and after a restore, object by object.

compare.py BEFORE AFTER LEFT-OUT: two directories with RESOURCE.json each, and an
expression of resource, namespace and name that says what is not to come back.
"""

import json
import pathlib
import sys

# Its own identity: a server that starts writes these, whatever was there.
OWN = {
    ("leases.coordination.k8s.io", "kube-system"),
    ("endpoints", "default"),
    ("endpointslices.discovery.k8s.io", "default"),
}
# Certificates of the server, which are made anew with each.
CERTIFICATES = ("configmaps", "kube-system", "extension-apiserver-authentication")


def objects(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        resource = path.stem
        # Not stored, or core events under a second name.
        if resource in ("componentstatuses", "events.events.k8s.io"):
            continue
        for item in json.loads(path.read_text())["items"]:
            metadata = item["metadata"]
            key = (resource, metadata.get("namespace", ""), metadata["name"])
            found[key] = item
    return found


def main():
    before, after = objects(sys.argv[1]), objects(sys.argv[2])
    left_out = compile(sys.argv[3], "LEFT-OUT", "eval")
    wrong = 0
    dropped = 0
    for key, item in before.items():
        resource, namespace, name = key
        if (resource, namespace) in OWN or key == CERTIFICATES:
            continue
        if eval(left_out, {}, {"resource": resource, "namespace": namespace, "name": name}):
            dropped += 1
            if key in after:
                print("came back:", *key)
                wrong += 1
        elif key not in after:
            print("is gone:", *key)
            wrong += 1
        elif after[key] != item:
            print("differs:", *key)
            for field in item:
                if after[key].get(field) != item[field]:
                    print("  ", json.dumps(item[field])[:300], "\n  ", json.dumps(after[key].get(field))[:300])
            wrong += 1
    for key in after.keys() - before.keys():
        if key[:2] not in OWN:
            print("is new:", *key)
            wrong += 1
    print(f"{len(before)} objects before, {dropped} left out, {wrong} wrong")
    return 1 if wrong else 0


sys.exit(main())
