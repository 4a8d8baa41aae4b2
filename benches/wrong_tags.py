"""Share of wrong tags among `incorrect`, against the share asked for, on sets with known labels.

    python3 benches/wrong_tags.py DATA... --program target/release/prefclean --work FOLDER

For each set, injected rate and seed: `inject`, `run`, then for each q `tag --fdr q` and `evaluate`.
Truth is `gold_label` (ties and nulls left out) XOR injected. A run that FOLDER holds already is not
made again, so the command can be stopped and resumed, and `--tag-only` reads finished runs with
another build. The table has, over seeds: pairs tagged, those of them with a known label, the
right labels among these, and the share with its 95% interval (Student's t over seeds; a run without
tags counts as 0).
"""

import argparse
import json
import math
import pathlib
import shutil
import statistics
import subprocess

# two-sided 95% quantiles of Student's t for 1 to 9 degrees of freedom
T_95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=pathlib.Path)
    parser.add_argument("--program", default="prefclean")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder of the runs")
    parser.add_argument("--rates", default="0,0.2")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fdr", default="0.05,0.1,0.2")
    parser.add_argument("--gold", default="gold_label")
    parser.add_argument("--basis", help="as of `tag`")
    parser.add_argument("--run-only", action="store_true", help="make the runs, no table")
    parser.add_argument("--tag-only", action="store_true", help="leave out runs that are not there")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cells = {}
    for seed in range(options.seeds):
        for rate in map(float, options.rates.split(",")):
            for data in options.data:
                run = make_run(options, data, rate, seed)
                if run is None or options.run_only:
                    continue
                for fdr in options.fdr.split(","):
                    cell = cells.setdefault((data.stem, rate, float(fdr)), [])
                    cell.append(tags(options, run, fdr))
    if cells:
        print(f"{'set':<18} injected    q  runs with tags   tagged  known  right  share of wrong tags")
        for (name, rate, fdr), found in sorted(cells.items()):
            print(row(name, rate, fdr, found))


def program(options, *arguments):
    command = [options.program, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_run(options, data, rate, seed):
    """Folder of the run and its truth file, made if it is not there."""
    run = options.work / f"{data.stem}.{rate}.{seed}.prefclean"
    noisy, truth = run.with_suffix(".noisy.parquet"), run.with_suffix(".truth.parquet")
    if not (run / "report.json").exists():
        if options.tag_only:
            return None
        shutil.rmtree(run, ignore_errors=True)
        if rate > 0:
            program(
                options, "inject", data, "-o", noisy, "--truth", truth,
                "--rate", rate, "--seed", seed,
            )
        program(
            options, "run", noisy if rate > 0 else data,
            "--run-dir", run, "--seed", seed, "--quiet",
        )
    return run, truth if rate > 0 else None


def tags(options, run, fdr):
    folder, truth = run
    basis = ["--basis", options.basis] if options.basis else []
    program(options, "tag", folder, "--fdr", fdr, *basis, "--quiet")
    injected = ["--injected", truth] if truth else []
    arguments = ["--gold", options.gold, *injected, "--draws", 2, "--json"]
    found = json.loads(program(options, "evaluate", folder, *arguments))["evaluation"]
    report = json.loads((folder / "report.json").read_text())
    counts = found["tagged"]
    return {
        "all": report["counts"]["incorrect"],
        "known": counts["tagged"],
        "right": counts["tagged"] - counts["found"],
        "wrong_labels": counts["positives"],
    }


def row(name, rate, fdr, found):
    # the false-discovery rate is a mean over runs, and one without tags has no wrong ones
    shares = [cell["right"] / cell["known"] if cell["known"] else 0.0 for cell in found]
    share = f"{statistics.mean(shares):.3f}"
    if 2 <= len(shares) <= len(T_95) + 1:
        half = T_95[len(shares) - 2] * statistics.stdev(shares) / math.sqrt(len(shares))
        share += f" ± {half:.3f}"
    share += "  (" + " ".join(f"{value:.3f}" for value in shares) + ")"
    known, right = (sum(cell[key] for cell in found) for key in ("known", "right"))
    tagged = statistics.mean(cell["all"] for cell in found)
    runs = f"{sum(cell['all'] > 0 for cell in found)} of {len(found)}"
    return (
        f"{name:<18} {rate:>8.0%} {fdr:>4} {runs:>15} {tagged:>8.1f} {known:>6} {right:>6}  {share}"
    )


if __name__ == "__main__":
    main()
