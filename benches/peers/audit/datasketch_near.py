"""Near-duplicates with datasketch's MinHashLSH: prints one JSON document, writes candidate pairs.

    python datasketch_near.py DATA.parquet PAIRS.parquet --bands B --rows R [--processes 2]

Sketches are made in bulk with xxhash in place of SHA-1 and with the default permutations of
version 2, as its documentation advises for speed; with `--processes 2` each process sketches half of
the texts. The index stays one. Each row is looked up before it is inserted, so that every pair
of rows comes up once. Candidates are not verified: the library has no texts.
"""

import argparse
import json
import multiprocessing
import time

import datasketch
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from datasketch import MinHash, MinHashLSH

from shingles import COLUMNS, of_pair


def sketch(job) -> np.ndarray:
    path, group, permutations = job
    table = pq.ParquetFile(path).read_row_group(group, columns=COLUMNS)
    texts = zip(*(table[name].to_pylist() for name in COLUMNS))
    made = MinHash.generator(map(of_pair, texts), num_perm=permutations, hashfunc=xxhash.xxh32_intdigest)
    return np.stack([minhash.hashvalues for minhash in made])


def main() -> dict:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("pairs")
    parser.add_argument("--bands", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    permutations = options.bands * options.rows

    start = time.perf_counter()
    groups = pq.ParquetFile(options.data).num_row_groups
    jobs = [(options.data, group, permutations) for group in range(groups)]
    if options.processes > 1:
        with multiprocessing.Pool(options.processes) as pool:
            parts = pool.map(sketch, jobs, chunksize=1)
    else:
        parts = [sketch(job) for job in jobs]
    sketched = time.perf_counter() - start

    lsh = MinHashLSH(num_perm=permutations, params=(options.bands, options.rows))
    scheme = MinHash(num_perm=permutations).scheme
    first = MinHash(num_perm=permutations)
    found = []
    row = 0
    for part in parts:
        for values in part:
            minhash = MinHash(hashvalues=values, permutations=first.permutations, scheme=scheme)
            found.extend((other, row) for other in lsh.query(minhash))
            lsh.insert(row, minhash, check_duplication=False)
            row += 1
    seconds = time.perf_counter() - start
    a, b = zip(*found) if found else ((), ())
    pq.write_table(pa.table({"a": pa.array(a, pa.int64()), "b": pa.array(b, pa.int64())}), options.pairs)
    return {
        "seconds": seconds,
        "sketch_seconds": sketched,
        "candidates": len(found),
        "versions": {"datasketch": datasketch.__version__, "numpy": np.__version__},
    }


if __name__ == "__main__":
    print(json.dumps(main()))
