"""Every comparison: what it shows, its commands, and where its figures are kept.

A command is a script of this folder and its arguments. The small ones see that all
runs, in about a minute each, and their figures mean nothing.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """A comparison.

    Attributes
    ----------
    name
        On the command line.
    shows
        What is compared, in a line.
    commands, small
        What runs, one after the other; paths are from the folder of the benchmarks.
    records
        Names of the files in ``results/``, without ``.json`` and ``.csv``.
    minutes
        Rough duration on two cores.
    peers
        Other programs that take part if they are installed.
    needs
        Packages without which it cannot run.
    """

    name: str
    shows: str
    commands: tuple[str, ...]
    small: tuple[str, ...]
    records: tuple[str, ...]
    minutes: float
    peers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def parts(command: str) -> list[str]:
    """The script of a command and its arguments."""
    return shlex.split(command)


# The cells of LMMNN: bernoulli responses, five data sets each.
_CELLS = " ".join(
    f"bernoulli:{q}:{v}" for q in (100, 1_000, 10_000) for v in ("0.1", "1", "10")
)
_HELD_OUT = "gaussian:1000:1 bernoulli:100:1 bernoulli:1000:1 bernoulli:10000:1"
_METHODS = "ngmm linear gpboost"
_CELL = "'fixed term: gaussian, 30 groups'"
_FEW = "--write --seeds 1 --groups 25"
_IMAGES = "--write --seeds 1 --clusters 15 --new 5 --learn 30 --epochs 2"
_BOTH = "--groups 30 100 --family gaussian bernoulli"

_ALL = (
    Comparison(
        "agreement",
        "estimates and log-likelihoods beside stored ones of lme4, glmmTMB and others",
        ("agreement.py --write",),
        ("agreement.py --write --models lmm_sleep_corr_ml",),
        ("agreement",),
        10,
    ),
    Comparison(
        "speed",
        "seconds, memory and log-likelihoods of 16 models, and of a fresh process",
        ("run.py --write",),
        ("run.py --write --repeats 1 --problems sleepstudy Salamanders",),
        ("speed",),
        20,
        ("lme4", "glmmTMB", "mixedlm", "statsmodels", "gpboost"),
    ),
    Comparison(
        "bootstrap",
        "seconds of bootstrap refits and of profiles",
        ("bootstrap.py --write",),
        ("bootstrap.py --write --problems sleepstudy --draws 20",),
        ("bootstrap",),
        5,
        ("lme4", "mixedlm"),
    ),
    Comparison(
        "hard-data",
        "whether an [OK] is to be believed: 200 hard data sets beside brute force",
        ("hard_data.py --write",),
        ("hard_data.py --write --only 2 15",),
        ("hard_data",),
        10,
    ),
    Comparison(
        "truncated-rule",
        "error of the truncated rule against its radius",
        ("truncated_rule.py --write",),
        ("truncated_rule.py --write",),
        ("truncated_rule",),
        1,
    ),
    Comparison(
        "item-response",
        "a 2PL test of 20,000 students, recovered",
        ("item_response.py",),
        ("item_response.py --students 300 --items 8",),
        ("item_response",),
        1,
    ),
    Comparison(
        "friedman",
        "error of f and variances, normal and bernoulli responses",
        ("neural/friedman.py --write",),
        (f"neural/friedman.py {_FEW} --only friedman --methods linear,gpboost,adam",),
        ("neural", "neural_peers"),
        30,
        ("gpboost",),
    ),
    Comparison(
        "linear-truth",
        "what a network costs where the truth is linear",
        ("neural/linear_truth.py --write",),
        (f"neural/linear_truth.py {_FEW} --only linear --methods linear,gpboost",),
        ("neural", "neural_peers"),
        30,
        ("gpboost",),
    ),
    Comparison(
        "xor",
        "XOR of binary inputs: predictions of 100 subjects",
        ("neural/xor.py --write",),
        (f"neural/xor.py --only xor {_FEW} --methods ngmm,linear",),
        ("neural", "neural_peers"),
        120,
        ("gpboost", "catboost"),
    ),
    Comparison(
        "wages",
        "test error of the wage panel, slopes in t and t^2",
        ("neural/wages.py --write",),
        (f"neural/wages.py {_FEW} --methods linear",),
        ("neural", "neural_peers"),
        30,
        ("gpboost", "catboost"),
    ),
    Comparison(
        "poverty",
        "log-loss of the poverty panel",
        ("neural/poverty.py --write",),
        (f"neural/poverty.py {_FEW} --methods linear,gpboost",),
        ("neural", "neural_peers"),
        30,
        ("gpboost", "catboost"),
    ),
    Comparison(
        "imports",
        "test error of the import panel, slopes in t and t^2",
        ("neural/imports.py --write",),
        (f"neural/imports.py {_FEW} --methods linear",),
        ("neural", "neural_peers"),
        60,
        ("gpboost", "catboost"),
    ),
    Comparison(
        "lmmnn",
        "a network and a random intercept on 100,000 rows, known and new groups",
        (
            "lmmnn.py",
            f"lmmnn.py --repeats 4 --seed 1 --cells {_CELLS}",
            f"lmmnn.py --split groups --methods {_METHODS} --cells {_HELD_OUT}",
        ),
        ("lmmnn.py --cells gaussian:100:1 --rows 4000",),
        ("lmmnn",),
        30,
        ("gpboost",),
    ),
    Comparison(
        "calibration",
        "size of tests at 5 % and coverage of 95 % intervals",
        ("calibration/run.py",),
        (f"calibration/run.py --sets 4 --workers 1 --cells {_CELL}",),
        ("calibration",),
        600,
    ),
    Comparison(
        "power",
        "power of the score test of a network beside mgcv's test of a smooth",
        ("calibration/power.py --write --sets 300 --curves 0 0.15 0.3 0.45",),
        ("calibration/power.py --write --sets 4 --workers 1 --curves 0.3",),
        ("power",),
        15,
        ("mgcv",),
    ),
    Comparison(
        "network-tests",
        "size of the score, split and bootstrap tests of networks",
        (
            f"network_tests.py --write --sets 2000 {_BOTH}",
            f"network_tests.py --write --sets 200 {_BOTH} --test split bootstrap",
        ),
        ("network_tests.py --write --sets 4 --processes 1",),
        ("network_tests",),
        300,
    ),
    Comparison(
        "spirals",
        "ARMED's spirals: known clusters, clusters left out, probes that confound",
        (
            "armed/spirals.py seen --write",
            "armed/spirals.py unseen --write",
            "armed/spirals.py probes --write",
        ),
        ("armed/spirals.py probes --write --rows 60 --folds 1 --epochs 3",),
        ("spirals",),
        15,
    ),
    Comparison(
        "cluster-effects",
        "estimated sds of cluster effects, and what an adversary costs",
        ("armed/effects.py sd --sets 30 --write", "armed/effects.py cost --write"),
        ("armed/effects.py sd --sets 2 --rows 12 --write --families gaussian",),
        ("cluster_effects",),
        15,
    ),
    Comparison(
        "digits",
        "digits through scanners of clusters: convolutional networks",
        ("armed/digits.py --write",),
        (f"armed/digits.py {_IMAGES}",),
        ("digits",),
        10,
        needs=("scikit-learn",),
    ),
    Comparison(
        "autoencoder",
        "digits through scanners of clusters: codes that draw them again",
        ("armed/autoencoder.py --write",),
        (f"armed/autoencoder.py {_IMAGES}",),
        ("autoencoder",),
        20,
        needs=("scikit-learn",),
    ),
)

COMPARISONS = {each.name: each for each in _ALL}

# Scripts that are run by others, or that only rearrange what is on file.
HELPERS = ("all.py", "records.py", "worker.py")
