"""Reads a written pair of files with `datasets` and `polars` and compares them with the input.

    python3 read_back.py INPUT CLEAN REMOVED [TAGS]

Rows that TAGS marks as removed (without it: every third row) are expected in REMOVED, all
others in CLEAN with the added columns.
Exits with an error where anything differs.
"""

import json
import sys

import datasets
import polars as pl
import pyarrow.parquet as pq

datasets.disable_progress_bars()
source, clean, removed, *tags = sys.argv[1:]
ADDED = {
    "prefclean_pair_id": "string",
    "prefclean_tag": "string",
    "prefclean_suspicion": "float64",
    "prefclean_p_incorrect": "float64",
}


def load(path):
    if path.endswith(".parquet") and pq.read_metadata(path).num_rows == 0:
        return datasets.Dataset(pq.read_table(path))  # a split without rows is none to load_dataset
    kind = "json" if path.endswith(".jsonl") else "parquet"
    return datasets.load_dataset(kind, data_files=path, split="train")


before, after, left = load(source), load(clean), load(removed)
rows = list(before)
if tags:
    marks = pl.read_parquet(tags[0])["removed"].to_list()
else:
    marks = [i % 3 == 2 for i in range(len(rows))]
assert len(marks) == len(rows)
kept = [row for row, mark in zip(rows, marks) if not mark]
out = [row for row, mark in zip(rows, marks) if mark]
names = before.column_names

assert after.column_names == names + list(ADDED), after.column_names
assert [{name: row[name] for name in names} for row in after] == kept
assert [{name: row[name] for name in names} for row in left] == out
for name, dtype in ADDED.items():
    assert after.features[name] == datasets.Value(dtype), after.features[name]
if not tags:
    assert set(after["prefclean_suspicion"]) == {0.25}
    assert None in after["prefclean_p_incorrect"]
extra = left.column_names[len(names):]
assert [name.removeprefix("prefclean_") for name in extra] == ["reason", "tag"], extra

if not source.endswith(".jsonl"):
    old, new = pq.read_schema(source), pq.read_schema(clean)
    for name in names:
        assert old.field(name).type == new.field(name).type, name
        assert before.features[name] == after.features[name], name
    if b"huggingface" in (old.metadata or {}):
        features = json.loads(new.metadata[b"huggingface"])["info"]["features"]
        assert list(features) == names + list(ADDED), features
    for key in set(old.metadata or {}) - {b"huggingface", b"pandas"}:
        assert old.metadata[key] == new.metadata[key], key

    frame = pl.read_parquet(clean)
    assert frame.select(names).equals(pl.read_parquet(source)[[i for i, mark in enumerate(marks) if not mark]])
    assert frame.schema["prefclean_p_incorrect"] == pl.Float64
    # an index of the input's length would be wrong
    assert list(pq.read_table(clean).to_pandas().index) == list(range(len(kept)))
pl.read_parquet(removed)
