"""Exact duplicates, contradictions and lengths with polars: prints one JSON document.

    POLARS_MAX_THREADS=2 python polars_queries.py DATA.parquet

The file is read once: texts become hashes and lengths while it streams, and the groups are made
of those. Texts are compared as they stand.
"""

import json
import sys
import time

import polars as pl


def main(path: str) -> dict:
    start = time.perf_counter()
    texts = ["prompt", "chosen", "rejected"]
    rows = (
        pl.scan_parquet(path)
        .select(
            [pl.col(name).hash(7).alias(f"{name}_hash") for name in texts]
            + [pl.col(name).str.len_chars().alias(f"{name}_chars") for name in texts]
        )
        .collect(engine="streaming")
    )
    read = time.perf_counter() - start
    hashes = [f"{name}_hash" for name in texts]
    low = pl.min_horizontal("chosen_hash", "rejected_hash").alias("low")
    high = pl.max_horizontal("chosen_hash", "rejected_hash").alias("high")
    forward = (pl.col("chosen_hash") < pl.col("rejected_hash")).alias("forward")
    same = pl.col("chosen_hash") == pl.col("rejected_hash")
    lazy = rows.lazy()
    distinct = lazy.group_by(hashes).agg(pl.len()).select(distinct=pl.len())
    opposite = (
        lazy.filter(~same)
        .select("prompt_hash", low, high, forward)
        .group_by("prompt_hash", "low", "high")
        .agg(pl.col("forward").any().alias("some"), pl.col("forward").all().alias("all"))
        .select(opposite=(pl.col("some") & ~pl.col("all")).sum())
    )
    prompts = lazy.select(prompts=pl.col("prompt_hash").n_unique())
    lengths = lazy.select(
        [
            getattr(pl.col(f"{name}_chars"), measure)(*arguments).alias(f"{name} {label}")
            for name in texts
            for measure, arguments, label in [
                ("min", [], "least"),
                ("mean", [], "mean"),
                ("quantile", [0.5, "lower"], "median"),
                ("quantile", [0.95, "lower"], "95%"),
                ("max", [], "most"),
            ]
        ]
        + [
            (pl.col("chosen_chars") > pl.col("rejected_chars")).sum().alias("chosen longer"),
            same.sum().alias("identical sides"),
        ]
    )
    distinct, opposite, prompts, lengths = pl.collect_all([distinct, opposite, prompts, lengths])
    answers = {
        "rows": rows.height,
        "repeated rows": rows.height - distinct.item(),
        "contradicted pairs": opposite.item(),
        "distinct prompts": prompts.item(),
        **lengths.row(0, named=True),
    }
    return {
        "answers": answers,
        "seconds": time.perf_counter() - start,
        "read_seconds": read,
        "versions": {"polars": pl.__version__},
        "threads": pl.thread_pool_size(),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
