"""What training encoder layers does to held-out accuracy and to the AUROC of planted flips.

    python3 benches/fine_tuning.py hh-rlhf-5k.parquet results.jsonl --program target/release/prefclean

Trains on the first --pairs rows, by `prefclean run --train WHAT` for each of --train and --seeds,
keeps the trained models, exports them, and scores the other rows with them. Writes one line per run
to the results, and goes on from those that are there; prints a table of means with 95% intervals
(Student's t over seeds). Needs pyarrow.
"""

import argparse
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import pyarrow.parquet as pq

# two-sided 95% quantiles of Student's t for 1 to 9 degrees of freedom
T_95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--program", default="prefclean")
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--train", default="head,last:2,all")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--tokens", default="128,76", help="longest text, sure of the response")
    parser.add_argument("--run-args", default="", help="further arguments of `run`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        rows = pq.read_table(options.data)
        pq.write_table(rows.slice(0, options.pairs), folder / "train.parquet")
        pq.write_table(rows.slice(options.pairs), folder / "held-out.parquet")
        for seed in map(int, options.seeds.split(",")):
            for train in options.train.split(","):
                if not any(r["train"] == train and r["seed"] == seed for r in done(options.results)):
                    result = one(options, folder, train, seed)
                    with options.results.open("a") as file:
                        file.write(json.dumps(result) + "\n")
    table(done(options.results))


def done(results):
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def one(options, folder, train, seed):
    def program(*arguments):
        command = [options.program, *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    longest, response = options.tokens.split(",")
    tokens = ["--max-length-tokens", longest, "--response-tokens", response]
    run = folder / "run"
    started = time.monotonic()
    report = json.loads(program(
        "run", folder / "train.parquet", "--run-dir", run, "--train", train, "--seed", seed,
        "--keep-models", "--json", *tokens, *options.run_args.split()))
    seconds = time.monotonic() - started
    accuracies = []
    for model in ("a", "b"):
        program("export", run / "models" / model, "-o", folder / "model", "--quiet")
        scored = program("score", folder / "held-out.parquet", "--model", folder / "model", "--json", *tokens)
        accuracies.append(json.loads(scored)["accuracy"])
        shutil.rmtree(folder / "model")
    shutil.rmtree(run)
    return {
        "train": train, "seed": seed, "pairs": options.pairs, "seconds": round(seconds, 1),
        "held_out_accuracy": accuracies,
        "planted_auroc": report["detector"]["auroc_observed"]["value"],
        "timings": {lap["stage"]: round(lap["seconds"], 1) for lap in report["timings"]},
    }


def table(results):
    for train in dict.fromkeys(result["train"] for result in results):
        own = [result for result in results if result["train"] == train]
        accuracy = interval([statistics.mean(result["held_out_accuracy"]) for result in own])
        auroc = interval([result["planted_auroc"] for result in own])
        seconds = statistics.mean(result["seconds"] for result in own)
        print(f"{train}: {len(own)} seeds, held-out accuracy {accuracy}, AUROC of planted flips {auroc}, "
              f"{seconds:.0f} s a run", flush=True)


def interval(values):
    text = f"{statistics.mean(values):.4f}"
    if 2 <= len(values) <= len(T_95) + 1:
        half = T_95[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
        text += f" ± {half:.4f}"
    return text


if __name__ == "__main__":
    main()
