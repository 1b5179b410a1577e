"""Writes the golden files of the LightGBM reader: small models with the outputs that LightGBM itself gives for them.

    OMP_NUM_THREADS=1 python3 test/golden/make_lightgbm.py shared/forest/lightgbm/testdata

needs numpy, pandas and lightgbm (3.3.5 and 4.7.0 made the files in the repository, each in a folder of its own). For each
case it writes <model>.txt and <model>.{x,raw,pred}.f64: row-major little-endian float64, NaN = missing. index.json lists
the cases.
"""

import json
import os
import sys

import lightgbm as lgb
import numpy as np
import pandas as pd

ROWS = 24
COLOURS = ["red", "green", "", "日本", "blue", "grey", "teal", "pink"]
SHOPS = [10, -20, 3, 4, 500, 7]


def data(rng, n):
    """Six features: three numbers, one with gaps and one mostly 0, texts, whole numbers as categories, a small count."""
    frame = pd.DataFrame({
        "size": rng.normal(size=n),
        "age": rng.normal(size=n),
        "rare": np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n)),
        "count": rng.integers(0, 9, n).astype(float),
        "colour": pd.Categorical.from_codes(rng.integers(0, len(COLOURS), n), COLOURS),
        "shop": pd.Categorical.from_codes(rng.integers(0, len(SHOPS), n), SHOPS),
    })
    frame.loc[rng.random(n) < 0.2, "age"] = np.nan
    frame.loc[rng.random(n) < 0.05, "colour"] = np.nan
    effect = (frame["size"] + 2 * (frame["colour"].cat.codes % 3) - (frame["shop"].cat.codes > 2) * frame["rare"]
              + frame["age"].fillna(0.5) ** 2 + 0.1 * frame["count"])
    return frame, effect.to_numpy()


def thresholds(text, features):
    """The numeric thresholds of a model file, by feature."""
    found = {f: [] for f in range(features)}
    for block in text.split("\nTree=")[1:]:
        keys = dict(line.split("=", 1) for line in block.split("\n") if "=" in line)
        if not keys.get("split_feature"):
            continue
        for f, t, d in zip(keys["split_feature"].split(), keys["threshold"].split(), keys["decision_type"].split()):
            if not int(d) & 1:
                found[int(f)].append(float(t))
    return found


def edges(rng, text, categorical):
    """Rows of values on, just below and just above thresholds, and of all that is special; categories that never were."""
    features = len(categorical)
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-35, 1.0000000180025095e-35, np.nextafter(1.0000000180025095e-35, 1), -1e-35, 5e-324, 1e300]
    unseen = [-1, -0.5, 0.9, 2.7, 7, 8, 31, 32, 63, 64, 1e9, 2.0**31 - 1, 2.0**31, -(2.0**31), 1e300, np.inf, -np.inf, np.nan]
    x = np.empty((ROWS, features))
    for f, t in thresholds(text, features).items():
        near = [v for a in t for v in (a, np.nextafter(a, -np.inf), np.nextafter(a, np.inf))]
        pool = special + (unseen if categorical[f] else (near or [1.0]) * (1 + 30 // len(near or [1.0])))
        x[:, f] = rng.choice(pool, ROWS)
    return x


def save(folder, index, name, params, rounds, frame, label, rng, **more):
    params = dict({"num_leaves": 7, "learning_rate": 0.3, "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1,
                   "num_threads": 1, "seed": 1, "verbose": -1, "deterministic": True}, **params)
    group = more.pop("group", None)
    categorical = more.pop("categorical", "auto")
    train = lgb.Dataset(frame, label=label, group=group, categorical_feature=categorical, params=params, free_raw_data=False)
    booster = lgb.train(params, train, rounds, **more)
    booster.save_model(f"{folder}/{name}.txt")
    text = open(f"{folder}/{name}.txt", encoding="utf-8").read()
    # The parameters of a run and its importances are of no use here and larger than the trees.
    head, tail = text.split("end of trees\n")
    tail = tail[tail.index("pandas_categorical"):]
    with open(f"{folder}/{name}.txt", "w", encoding="utf-8") as f:
        f.write(head + "end of trees\n\n" + tail)
    rows = data(rng, ROWS)[0][list(frame)] if "code" not in frame else frame[:ROWS]
    x = np.column_stack([rows[c].cat.codes.replace(-1, np.nan) if rows[c].dtype == "category" else rows[c] for c in rows])
    flags = [frame[c].dtype == "category" or categorical != "auto" and c in categorical for c in frame]
    x = np.concatenate([x.astype("<f8"), edges(rng, text, flags)])
    x.astype("<f8").tofile(f"{folder}/{name}.x.f64")
    raw = np.asarray(booster.predict(x, raw_score=True, num_threads=1))
    raw.astype("<f8").tofile(f"{folder}/{name}.raw.f64")
    np.asarray(booster.predict(x, num_threads=1)).astype("<f8").tofile(f"{folder}/{name}.pred.f64")
    index.append({"model": name, "rows": len(x), "cols": x.shape[1], "outputs": 1 if raw.ndim == 1 else raw.shape[1],
                  "objective": params.get("objective", "custom"), "lightgbm": lgb.__version__})


# An old version need not show again what does not depend on it.
OLD = {"binary", "multiclassova", "rf", "linear", "zero_as_missing", "codes", "constant", "custom"}


def main(root):
    old = lgb.__version__ < "4"
    folder = f"{root}/lgb-{lgb.__version__}"
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(11)
    frame, effect = data(rng, 1500)
    numbers = frame[["size", "age", "rare", "count"]]
    positive = np.exp(effect / 4)
    classes = np.clip(effect, 0, 3).astype(int)
    index = []

    def add(name, objective, y, rounds=4, f=numbers, more=None, **kw):
        if old and name not in OLD:
            return
        params = dict(more or {})
        if objective is not None:
            params["objective"] = objective
        save(folder, index, name, params, rounds, f, y, rng, **kw)

    add("binary", "binary", effect > 1.5, 9, frame)
    add("sigmoid", "binary", effect > 1.5, more={"sigmoid": 1.7})
    add("multiclass", "multiclass", classes, 2, frame, {"num_class": 4})
    add("multiclassova", "multiclassova", classes, 2, more={"num_class": 4, "sigmoid": 0.6})
    add("l2", "regression", effect, 6, frame)
    add("sqrt", "regression", effect, more={"reg_sqrt": True})
    for name in ("regression_l1", "huber", "fair", "quantile", "mape"):
        add(name, name, effect)
    for name in ("poisson", "gamma", "tweedie"):
        add(name, name, positive)
    add("cross_entropy", "cross_entropy", 1 / (1 + np.exp(-effect)))
    add("cross_entropy_lambda", "cross_entropy_lambda", 1 / (1 + np.exp(-effect)))
    add("lambdarank", "lambdarank", classes, group=[50] * 30)
    add("rank_xendcg", "rank_xendcg", classes, group=[50] * 30)
    add("dart", "binary", effect > 1.5, 6, more={"boosting": "dart", "drop_rate": 0.5})
    add("rf", "binary", effect > 1.5, 5, frame, {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6})
    add("rf_multiclass", "multiclass", classes, 2, more={"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "num_class": 4})
    add("linear", "regression", effect, 5, more={"linear_tree": True})
    add("linear_binary", "binary", effect > 1.5, 4, frame, {"linear_tree": True, "linear_lambda": 0.1})
    add("zero_as_missing", "regression", effect, 6, frame, {"zero_as_missing": True})
    add("no_missing", "regression", effect, 6, more={"use_missing": False})
    gaps = numbers.assign(rare=numbers["rare"].where(numbers["rare"] != 0))
    add("asks_missing", "regression", np.where(gaps["age"].isna(), 5, 0) + np.where(gaps["rare"].isna(), -3, 0) + effect / 9, 4, gaps)  # thresholds of inf
    add("onehot", "binary", effect > 1.5, 4, frame[["colour", "shop"]], {"max_cat_to_onehot": 20})
    wide = pd.DataFrame({"code": rng.integers(0, 150, 1500), "size": frame["size"]})
    add("codes", "regression", (wide["code"] * 7 % 11) + wide["size"], 5, wide, {"max_cat_threshold": 64}, categorical=["code"])
    add("constant", "regression", np.full(1500, 2.5), 2)
    add("deep", "regression", effect, 1, more={"num_leaves": 60, "min_data_in_leaf": 1, "learning_rate": 1.0})
    custom = lambda p, d: (p - d.get_label(), np.ones(len(p)))
    if old:
        add("custom", None, effect, fobj=custom)
    else:
        save(folder, index, "custom", {"objective": custom}, 4, numbers, effect, rng)
        index[-1]["objective"] = "custom"
    with open(f"{folder}/index.json", "w", encoding="utf-8") as f:
        json.dump(index, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
