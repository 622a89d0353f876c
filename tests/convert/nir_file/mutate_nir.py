"""Break a NIR file as often as is asked for, and say what became of each: run as a program, by a test.

``mutate_nir.py FIRST LAST < FILE``. A mutant depends on nothing but its number. It prints the number, and then
``refused`` or ``raised``, or nothing if the file was read.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from respike.convert import FormatError
from respike.convert.nir_file import child, message
from respike.convert.nir_file.hdf5 import contents


def mutated(base: bytes, seed: int) -> bytes:
    choose, broken = random.Random(seed), bytearray(base)
    if choose.random() < 0.2:
        return bytes(broken[: choose.randrange(len(broken))])
    for _ in range(choose.choice([1, 1, 2, 4, 16])):
        at, width = choose.randrange(len(broken) - 8), choose.choice([1, 2, 4, 8])
        value = choose.choice([0, 1, 256**width - 1, choose.getrandbits(8 * width), len(broken) % 256**width])
        broken[at : at + width] = value.to_bytes(width, "little")
    return bytes(broken)


def main() -> None:
    base, (first, last) = sys.stdin.buffer.read(), map(int, sys.argv[1:])
    child._limit(0)
    for seed in range(first, last):
        print(seed, flush=True)
        Path("net.nir").write_bytes(mutated(base, seed))
        try:
            message.packed(contents(Path("net.nir")))
        except FormatError:
            print("refused", flush=True)
        except BaseException:
            print("raised", flush=True)
            raise


if __name__ == "__main__":
    main()
