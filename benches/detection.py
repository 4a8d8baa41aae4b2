"""AUROC of suspicion over seeds and injected noise rates, by the program alone.

    python3 benches/detection.py ukpconvarg1.parquet --program target/release/prefclean

Injects label noise with `prefclean inject`, runs, and reads `prefclean evaluate`. Prints, for each
rate and reference, every seed's AUROC and the mean with its 95% interval (Student's t over seeds).
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import tempfile

# two-sided 95% quantiles of Student's t for 1 to 9 degrees of freedom
T_95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--program", default="prefclean")
    parser.add_argument("--rates", default="0,0.4")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--gold", default="ref_class,gold_label")
    parser.add_argument("--run-args", default="", help="further arguments of `run`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for rate in map(float, options.rates.split(",")):
            found = {gold: [] for gold in options.gold.split(",")}
            for seed in range(options.seeds):
                for gold, value in one(options, pathlib.Path(folder), rate, seed).items():
                    found[gold].append(value)
            for gold, values in found.items():
                report(rate, gold, values)


def one(options, folder, rate, seed):
    def program(*arguments):
        command = [options.program, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    data, injected = options.data, []
    if rate > 0:
        data, truth = folder / "noisy.parquet", folder / "truth.parquet"
        program("inject", options.data, "-o", data, "--truth", truth, "--rate", rate, "--seed", seed)
        injected = ["--injected", truth]
    run = folder / f"{rate}-{seed}.prefclean"
    program("run", data, "--run-dir", run, "--seed", seed, "--quiet", *options.run_args.split())
    values = {}
    for gold in options.gold.split(","):
        document = json.loads(program("evaluate", run, "--gold", gold, *injected, "--json"))
        values[gold] = document["evaluation"]["auroc"]["value"]
    return values


def report(rate, gold, values):
    seeds = " ".join(f"{value:.4f}" for value in values)
    line = f"{rate:.0%} injected, {gold}: mean {statistics.mean(values):.4f}"
    if 2 <= len(values) <= len(T_95) + 1:
        half = T_95[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
        line += f" ± {half:.4f}"
    print(f"{line} (seeds: {seeds})", flush=True)


if __name__ == "__main__":
    main()
