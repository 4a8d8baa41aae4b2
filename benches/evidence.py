#!/usr/bin/env python3
"""Measures every method on sets with known labels, and writes the tables of docs/evidence.md.

    python3 benches/evidence.py DATA_FOLDER OUT_FOLDER [--prefclean PATH] [--sets NAME,...] [--seeds 5]
                                [--only compare,prove,tables]

For each set it runs `prefclean compare` (all methods; 0, 20, 30 and 40% of labels swapped; five seeds) and, where
topics can be split, `prefclean prove`. Both keep what is finished in OUT_FOLDER, so the script can be stopped at any
moment and started again; features are encoded once. The whole takes hours on two cores. The tables go between the
markers of docs/evidence.md; everything measured stays in OUT_FOLDER/NAME/report.json.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "evidence.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

NOISE = ["none", "symmetric:0.2", "symmetric:0.3", "symmetric:0.4"]
SHARES = {"none": "0%", "symmetric:0.2": "20%", "symmetric:0.3": "30%", "symmetric:0.4": "40%"}

# name, file, column with the truth, noise, what is special
SETS = [
    ("ukpconvarg1", "ukpconvarg1.parquet", "gold_label", NOISE, "every text is in many pairs"),
    ("ukpconvarg1-ref", "ukpconvarg1.parquet", "ref_class", NOISE, "the same, truth by two thirds of the votes"),
    ("pandalm", "pandalm.parquet", "gold_label", NOISE, "three votes a pair"),
    ("rm-bench", "rm-bench.parquet", "gold_label", NOISE, "labels right by construction"),
    ("qlora-vicuna-gpt4", "qlora-vicuna-gpt4.parquet", "gold_label", NOISE, "a model's labels, ties left out"),
    ("llmbar", "llmbar.parquet", "gold_label", NOISE, "labels checked by the authors"),
    ("judgebench", "judgebench.parquet", "gold_label", NOISE, "objective labels, hard"),
    ("qa-feedback", "qa-feedback.parquet", None, NOISE[1:], "one vote a pair: only injected labels count"),
    ("hh-rlhf-5k", "hh-rlhf-5k.parquet", None, NOISE[1:], "one choice a pair: only injected labels count"),
]

# name, file, how test pairs are split off
PROOFS = [
    ("ukpconvarg1", "ukpconvarg1.parquet", ["--test-where", "group=TV is better than Books,Is porn wrong?"]),
    ("pandalm", "pandalm.parquet", ["--test-by", "group", "--folds", "4"]),
    ("rm-bench", "rm-bench.parquet", ["--test-by", "group", "--folds", "4"]),
]
PROOF_NOISE = ["symmetric:0.2", "symmetric:0.4"]
PROOF_METHODS = ["crm", "gaussian-process"]
PROOF_ARMS = ["original", "cleaned", "random-drop", "drop", "flip", "soft-label", "target-margin", "oracle-drop"]


def run(arguments):
    print("+", " ".join(map(str, arguments)), flush=True)
    subprocess.run([str(a) for a in arguments], check=True, stdout=subprocess.DEVNULL)


def compare(options):
    for name, file, gold, noise, _ in SETS:
        if options.sets and name not in options.sets:
            continue
        arguments = [options.prefclean, "compare", options.data / file, "--noise", ",".join(noise)]
        arguments += ["--seeds", options.seeds, "--out", options.out / name]
        if gold:
            arguments += ["--gold", gold]
        run(arguments)


def prove(options):
    for name, file, split in PROOFS:
        if options.sets and name not in options.sets:
            continue
        for noise in PROOF_NOISE:
            for method in PROOF_METHODS:
                arguments = [options.prefclean, "prove", options.data / file, *split, "--gold", "gold_label"]
                arguments += ["--noise", noise, "--method", method, "--seeds", options.seeds, "--quiet"]
                run(arguments + ["-o", options.out / "prove" / f"{name}-{noise.split(':')[1]}-{method}"])


def shown(estimate, signed=False):
    if estimate is None:
        return "–"
    text = f"{estimate['mean']:+.3f}" if signed else f"{estimate['mean']:.3f}"
    if estimate["interval"]:
        half = (estimate["interval"]["high"] - estimate["interval"]["low"]) / 2
        text += f" ± {half:.3f}"
    return text.replace("-", "−")


def row(cells):
    return "| " + " | ".join(cells) + " |"


def best(table):
    """Where no label is swapped all seeds judge the same labels, and their spread is not that of the data."""
    return None if table["noise"] == "none" else table["best"]


def summary(reports, noise):
    """Mean AUROC of every method on every set, the strongest method first."""
    names = list(reports)
    found = {name: next((t for t in reports[name]["tables"] if t["noise"] == noise), None) for name in names}
    names = [name for name in names if found[name]]
    methods = [row["method"] for row in found[names[0]]["rows"]]
    aurocs = {}
    for method in methods:
        rows = [next(r for r in found[name]["rows"] if r["method"] == method) for name in names]
        aurocs[method] = [row["auroc"]["mean"] for row in rows]
    tops = [max(values) for values in zip(*aurocs.values())]
    lines = [row(["method", *names, "mean"]), row(["---"] + ["---:"] * (len(names) + 1))]
    for method in sorted(methods, key=lambda m: -sum(aurocs[m])):
        cells = []
        for name, value, top in zip(names, aurocs[method], tops):
            text = f"{value:.3f}"
            cells.append(f"**{text}**" if value == top and best(found[name]) == method else text)
        mean = sum(aurocs[method]) / len(names)
        lines.append(row([f"`{method}`", *cells, f"{mean:.3f}"]))
    return lines


def detection(report):
    tables = report["tables"]
    lines = [row(["method"] + [SHARES[t["noise"]] for t in tables]), row(["---"] + ["---:"] * len(tables))]
    for i, first in enumerate(tables[0]["rows"]):
        cells = [f"`{first['method']}`"]
        for table in tables:
            found = table["rows"][i]
            text = shown(found["auroc"])
            cells.append(f"**{text}**" if best(table) == found["method"] else text)
        lines.append(row(cells))
    return lines


def dropping(report, noise="symmetric:0.2"):
    table = next((t for t in report["tables"] if t["noise"] == noise), None)
    if table is None:
        return []
    head = ["method", "average precision", "own precision", "own recall", "clean lost", "at the true rate"]
    head += ["η less true", "seconds", "peak MiB"]
    lines = [row(head), row(["---"] + ["---:"] * (len(head) - 1))]
    for found in table["rows"]:
        rate = shown(found["noise_rate_error"], signed=True)
        cells = [f"`{found['method']}`"]
        cells += [shown(found[key]) for key in ("average_precision", "precision", "recall", "clean_lost")]
        cells += [shown(found["precision_at_true_rate"]), rate if found["own_noise_rate"] else f"({rate})"]
        peak = found["peak_mib"]
        cells += [f"{found['seconds']:.1f}", "–" if peak is None else f"{peak:.0f}"]
        lines.append(row(cells))
    return lines


def proofs(options):
    head = ["set, swapped", "method"] + PROOF_ARMS + ["share recovered"]
    lines = []
    for name, _, _ in PROOFS:
        for noise in PROOF_NOISE:
            for method in PROOF_METHODS:
                path = options.out / "prove" / f"{name}-{noise.split(':')[1]}-{method}" / "report.json"
                if not path.exists():
                    continue
                arms = {arm["name"]: arm["tests"][0]["accuracy"] for arm in json.loads(path.read_text())["arms"]}
                cells = [f"{name} {SHARES[noise]}", f"`{method}`"]
                for arm in PROOF_ARMS:
                    found = arms.get(arm)
                    text = "–" if found is None else f"{100 * found['estimate']['mean']:.1f}"
                    if found and found["difference"] and found["difference"]["interval"]:
                        ends = found["difference"]["interval"]
                        if ends["low"] > 0 or ends["high"] < 0:
                            text = f"**{text}**"
                    cells.append(text)
                share = arms.get("cleaned", {}).get("recovered")
                if share and share["interval"]:
                    ends = [f"{100 * share['interval'][end]:.0f}" for end in ("low", "high")]
                    cells.append(f"{100 * share['value']:.0f}% ({ends[0]} to {ends[1]})".replace("-", "−"))
                else:
                    cells.append("–")
                lines.append(row(cells))
    if not lines:
        return []
    intro = "Accuracy in % of the same reward model on known pairs; bold where the paired difference to `original` leaves"
    intro += " out 0; `prefclean prove`, five seeds."
    rule = row(["---", "---"] + ["---:"] * (len(head) - 2))
    return ["### Worth of cleaning", "", intro, "", row(head), rule, *lines, ""]


def tables(options):
    reports = {}
    for name, *_ in SETS:
        path = options.out / name / "report.json"
        if path.exists():
            reports[name] = json.loads(path.read_text())
    lines = []
    for noise in NOISE[1:]:
        lines += [f"### All sets, {SHARES[noise]} of labels swapped", "", "Mean AUROC over seeds:", ""]
        lines += summary(reports, noise) + [""]
    for name, file, gold, noise, special in SETS:
        if name not in reports:
            continue
        report = reports[name]
        seeds = len(report["seeds"])
        rates = ", ".join(f"{100 * t['true_rate']:.1f}%" for t in report["tables"])
        lines += [f"### {name}", ""]
        truth = f"truth `{gold}`" if gold else "truth: injected labels alone"
        lines += [f"{report['pairs']:,} pairs; {special}; {truth}; {seeds} seeds. Wrong among decided pairs: {rates}.", ""]
        command = f"prefclean compare {file} --noise {','.join(noise)} --seeds {seeds}"
        lines += [f"`{command}{' --gold ' + gold if gold else ''}`", "", "AUROC by share of labels swapped:", ""]
        lines += detection(report) + ["", "What each would drop by its own rule at 20%:", ""] + dropping(report) + [""]
    lines += proofs(options)
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + "\n\n" + "\n".join(lines).rstrip() + "\n\n" + END + after)
    print(f"wrote {PAGE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--prefclean", default="prefclean")
    parser.add_argument("--sets", type=lambda text: text.split(","), default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", type=lambda text: text.split(","), default=["compare", "prove", "tables"])
    options = parser.parse_args()
    if "compare" in options.only:
        compare(options)
    if "prove" in options.only:
        prove(options)
    if "tables" in options.only:
        tables(options)


if __name__ == "__main__":
    sys.exit(main())
