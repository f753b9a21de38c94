"""Draw the picture of the README: ``python docs/images/sleepstudy.py``."""

from pathlib import Path

import matplotlib.pyplot as plt

import ngmm

data = ngmm.datasets.load("sleepstudy")
fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)

plt.rcParams.update({"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "ngmm"})
figure, axes = plt.subplots(
    3, 6, sharex=True, sharey=True, figsize=(9, 4.2), layout="constrained"
)
ngmm.plots.lattice(fit, "Days", ax=axes)
for axis in axes.flat:
    axis.label_outer()
figure.savefig(
    Path(__file__).with_suffix(".svg"), metadata={"Date": None}, bbox_inches="tight"
)
