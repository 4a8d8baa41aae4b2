"""Exact duplicates, contradictions and lengths with DuckDB: prints one JSON document.

    python duckdb_queries.py DATA.parquet

The file is read once: texts become hashes and lengths while it streams, and the groups are made
of those. Texts are compared as they stand.
"""

import json
import sys
import time

import duckdb

TEXTS = ["prompt", "chosen", "rejected"]


def main(path: str) -> dict:
    start = time.perf_counter()
    db = duckdb.connect(config={"threads": 2})
    db.execute("SET preserve_insertion_order = false")
    columns = [f"hash({name}) AS {name}_hash, length({name}) AS {name}_chars" for name in TEXTS]
    db.execute(f"CREATE TABLE pairs AS SELECT {', '.join(columns)} FROM read_parquet(?)", [path])
    read = time.perf_counter() - start

    def one(query: str) -> dict:
        result = db.execute(query)
        return dict(zip([column[0] for column in result.description], result.fetchone()))

    lengths = []
    for name in TEXTS:
        chars = f"{name}_chars"
        lengths += [
            f"min({chars}) AS \"{name} least\"",
            f"avg({chars}) AS \"{name} mean\"",
            f"quantile_disc({chars}, [0.5, 0.95]) AS \"{name} quantiles\"",
            f"max({chars}) AS \"{name} most\"",
        ]
    answers = one(f"""
        SELECT count(*) AS rows, {", ".join(lengths)},
            count(DISTINCT prompt_hash) AS "distinct prompts",
            count(*) FILTER (chosen_chars > rejected_chars) AS "chosen longer",
            count(*) FILTER (chosen_hash = rejected_hash) AS "identical sides"
        FROM pairs
    """)
    for name in TEXTS:
        answers[f"{name} median"], answers[f"{name} 95%"] = answers.pop(f"{name} quantiles")
    answers |= one("""
        SELECT coalesce(sum(n - 1), 0)::BIGINT AS "repeated rows" FROM
            (SELECT count(*) AS n FROM pairs GROUP BY prompt_hash, chosen_hash, rejected_hash)
    """)
    answers |= one("""
        SELECT count(*) AS "contradicted pairs" FROM (
            SELECT 1 FROM pairs WHERE chosen_hash <> rejected_hash
            GROUP BY prompt_hash, least(chosen_hash, rejected_hash), greatest(chosen_hash, rejected_hash)
            HAVING bool_or(chosen_hash < rejected_hash) AND NOT bool_and(chosen_hash < rejected_hash))
    """)
    return {
        "answers": answers,
        "seconds": time.perf_counter() - start,
        "read_seconds": read,
        "versions": {"duckdb": duckdb.__version__},
        "threads": 2,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
