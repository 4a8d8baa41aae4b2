"""Reference values for src/tags, from scikit-learn and SciPy.

Writes statistics.json beside this file. Needs numpy, scipy, scikit-learn.
Cleanlab's confident joint is computed here from its published formula
(arXiv:1911.00068, section 3.1; cleanlab.count.compute_confident_joint and
calibrate_confident_joint), since two classes need no more than a few lines.
"""

import json
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, spearmanr
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, cohen_kappa_score, roc_auc_score, roc_curve
from sklearn.mixture import GaussianMixture

rng = np.random.default_rng(20)


def confident_joint(labels, p):
    thresholds = np.array([p[labels == k, k].mean() for k in (0, 1)])
    joint = np.zeros((2, 2))
    for y, row in zip(labels, p):
        above = row >= thresholds - 1e-6
        if above.any():
            joint[y, np.argmax(np.where(above, row, -1))] += 1
    counts = np.bincount(labels, minlength=2)
    joint = joint / np.clip(joint.sum(axis=1, keepdims=True), 1e-12, None) * counts[:, None]
    return joint / joint.sum()


labels = rng.random(60) < 0.3
scores = np.round(rng.normal(labels * 0.8, 1.0), 1)  # rounded: ties
other = np.round(scores + rng.normal(0, 1.0, 60), 1)
fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
flags_a, flags_b = scores > 0.2, other > 0.2

loss = np.concatenate([rng.gamma(2.0, 0.15, 320), rng.normal(2.0, 0.35, 80)])
x = (loss - loss.min()) / (loss.max() - loss.min())
gmm = GaussianMixture(
    2, tol=1e-9, max_iter=2000, reg_covar=1e-6,
    means_init=[[np.quantile(x, 0.1)], [np.quantile(x, 0.9)]],
    weights_init=[0.5, 0.5], precisions_init=[[[1 / x.var()]], [[1 / x.var()]]],
).fit(x[:, None])
high = int(np.argmax(gmm.means_[:, 0]))

iso_x = np.round(rng.random(80), 2)
iso_w = rng.integers(1, 5, 80).astype(float)
iso_y = (rng.random(80) < iso_x).astype(float)
iso = IsotonicRegression().fit(iso_x, iso_y, sample_weight=iso_w)

# a pair as two classes: the label says `first` is better (1) or not (0)
p_first = rng.beta(2, 2, 200)
label_first = (rng.random(200) < p_first).astype(int)
flip = rng.random(200) < 0.2
label_first = np.where(flip, 1 - label_first, label_first)
joint = confident_joint(label_first, np.column_stack([1 - p_first, p_first]))

out = {
    "labels": labels.tolist(),
    "scores": scores.tolist(),
    "other": other.tolist(),
    "auroc": roc_auc_score(labels, scores),
    "average_precision": average_precision_score(labels, scores),
    "roc": [[f, t] for f, t in zip(fpr, tpr)],
    "ranks": rankdata(scores).tolist(),
    "spearman": spearmanr(scores, other).statistic,
    "kappa": cohen_kappa_score(flags_a, flags_b),
    "kappa_threshold": 0.2,
    "gmm": {
        "loss": loss.tolist(),
        "weight": gmm.weights_[high],
        "means": sorted(gmm.means_[:, 0].tolist()),
        "stds": np.sqrt(gmm.covariances_[:, 0, 0])[[1 - high, high]].tolist(),
        "posterior": gmm.predict_proba(x[:, None])[:, high].tolist(),
    },
    "isotonic": {
        "x": iso_x.tolist(), "y": iso_y.tolist(), "w": iso_w.tolist(),
        "fitted": iso.predict(iso_x).tolist(),
    },
    "confident_joint": {
        "p_first": p_first.tolist(),
        "label_first": label_first.tolist(),
        "joint": joint.tolist(),
        "eta": joint[0, 1] + joint[1, 0],
    },
}
path = Path(__file__).with_name("statistics.json")
path.write_text(json.dumps(out, default=float) + "\n")
