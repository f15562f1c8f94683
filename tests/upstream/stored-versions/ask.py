"""What an API server shows of objects that are stored in old versions of their API.

    ask.py ETCD-URL API-URL TOKEN ETCDCTL <OBJECTS >ANSWERS

Reads lines with `key`, `path` and `stored` (a former answer, or new ones): writes `stored` under `key`
into the etcd of a running kube-apiserver, in JSON, as one with `--storage-media-type=application/json`
would have done at the time; asks the server for `path`; and writes the line with its answer as `served`.

What a server fills in that the old version did not know belongs into `stored`, or the two differ.
`../kubernetes/check.sh` shows how the servers are started.
"""

import json
import ssl
import subprocess
import sys
import time
import urllib.request

SERVER_FIELDS = ("generation", "managedFields", "resourceVersion")


def main():
    etcd, api, token, etcdctl = sys.argv[1:]
    entries = [json.loads(line) for line in sys.stdin]
    for entry in entries:
        put = [etcdctl, "--endpoints", etcd, "put", entry["key"]]
        subprocess.run(put, input=json.dumps(entry["stored"]).encode(), check=True, stdout=subprocess.DEVNULL)
    # The server learns of them by its watches.
    time.sleep(3)
    # Its certificate is of its own making.
    context = ssl._create_unverified_context()
    for entry in entries:
        request = urllib.request.Request(api + entry["path"], headers={"Authorization": f"Bearer {token}"})
        served = json.load(urllib.request.urlopen(request, context=context))
        served.pop("status", None)
        for field in SERVER_FIELDS:
            served["metadata"].pop(field, None)
        entry["served"] = served
        print(json.dumps(entry, separators=(",", ":"), sort_keys=True))


main()
