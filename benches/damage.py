#!/usr/bin/env python3
"""Damages a copy of a snapshot, the same way on every run.

    benches/damage.py SNAPSHOT COPY [--pages N] [--metas] [--page-size BYTES]

N pages, spread over the file by a fixed seed, in turn: all zeros, a header of noise,
an element table of noise, a count that is too large, one bit flipped. With --metas both
metas are zeroed, so that nothing of the file is reached by a tree.
"""

import argparse
import os
import random
import shutil
from pathlib import Path


def damage(source, target, pages=1000, metas=False, page_size=4096):
    """Writes the damaged copy."""
    shutil.copyfile(source, target)
    os.chmod(target, 0o600)
    dice = random.Random(1)
    count = os.path.getsize(target) // page_size
    with open(target, "r+b") as file:
        if metas:
            file.write(bytes(2 * page_size))
        for turn, number in enumerate(sorted(dice.sample(range(2, count), min(pages, count - 2)))):
            file.seek(number * page_size)
            page = bytearray(file.read(page_size))
            kind = turn % 5
            if kind == 0:
                page[:] = bytes(len(page))
            elif kind == 1:
                page[:16] = dice.randbytes(16)
            elif kind == 2:
                page[16:64] = dice.randbytes(48)
            elif kind == 3:
                page[10:12] = b"\xff\xff"
            else:
                page[dice.randrange(len(page))] ^= 1 << dice.randrange(8)
            file.seek(number * page_size)
            file.write(page)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("copy", type=Path)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--metas", action="store_true")
    parser.add_argument("--page-size", type=int, default=4096)
    options = parser.parse_args()
    damage(options.snapshot, options.copy, options.pages, options.metas, options.page_size)


if __name__ == "__main__":
    main()
