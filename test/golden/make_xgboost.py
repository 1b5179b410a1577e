"""Writes the golden files of the XGBoost reader: small models with the outputs that XGBoost itself gives for them.

    OMP_NUM_THREADS=1 python3 test/golden/make_xgboost.py shared/forest/xgboost/testdata

needs numpy, pandas, pyarrow, scipy and xgboost (2.1.4, 3.0.0, 3.1.3, 3.3.0 and 3.4.1 made the files in the repository, each in a
folder of its own; the older ones show dart and gblinear only). For each case it writes <model>.json and <model>.ubj, and
<model>.<set>.{x,margin,pred}.f32: row-major little-endian float32, NaN = missing. index.json lists the cases.
"""

import json
import os
import sys

import numpy as np
import pandas as pd
import xgboost as xgb

ROWS = 40


def data(rng, n):
    """Four features: two numbers, one of them with gaps, categories as text, categories as whole numbers."""
    frame = pd.DataFrame({
        "size": rng.normal(size=n).astype(np.float32),
        "age": rng.normal(size=n).astype(np.float32),
        "colour": pd.Categorical.from_codes(rng.integers(0, 5, n), ["red", "grün", "", "日本", "blue"]),
        "shop": pd.Categorical.from_codes(rng.integers(0, 6, n), [10, -20, 3, 4, 500, 7]),
    })
    frame.loc[rng.random(n) < 0.2, "age"] = np.nan
    frame.loc[rng.random(n) < 0.05, "colour"] = np.nan
    effect = frame["size"] + 2 * (frame["colour"].cat.codes % 2) - (frame["shop"].cat.codes > 2) + frame["age"].fillna(0.5) ** 2
    return frame, effect.to_numpy()


def save(folder, index, name, params, rounds, frame, label, rng):
    params = dict(params, max_depth=3, eta=0.5, tree_method="hist", nthread=1, seed=1)
    booster = xgb.train(params, xgb.DMatrix(frame, label=label, enable_categorical=True), rounds)
    booster.set_attr(best_iteration=str(rounds - 1))
    booster.save_model(f"{folder}/{name}.json")
    booster.save_model(f"{folder}/{name}.ubj")
    rows, _ = data(rng, ROWS)
    rows = rows[list(frame)]
    matrix = xgb.DMatrix(rows, enable_categorical=True)
    x = np.column_stack([rows[c].cat.codes.replace(-1, np.nan) if rows[c].dtype == "category" else rows[c] for c in rows])
    x.astype("<f4").tofile(f"{folder}/{name}.full.x.f32")
    booster.predict(matrix, output_margin=True).astype("<f4").tofile(f"{folder}/{name}.full.margin.f32")
    booster.predict(matrix).astype("<f4").tofile(f"{folder}/{name}.full.pred.f32")
    index.append({"model": name, "set": "full", "rows": ROWS, "cols": x.shape[1], "objective": params["objective"],
                  "xgboost": xgb.__version__})


def near_thresholds(rng, file, cols):
    """Rows of values on, just below and just above thresholds of a model file, and of all that is special but infinities,
    which a DMatrix refuses."""
    big = np.finfo(np.float32).max
    pool = {f: [np.nan, 0.0, -0.0, 1e-45, -1e-45, 1e-35, big, -big, 1.0, -1.5] for f in range(cols)}
    booster = json.load(open(file))["learner"]["gradient_booster"]
    model = booster.get("gbtree", booster)["model"]
    for tree in model.get("trees", []):
        for left, f, t in zip(tree["left_children"], tree["split_indices"], tree["split_conditions"]):
            if left != -1:
                t = np.float32(t)
                pool[f] += [t, np.nextafter(t, np.float32(-big)), np.nextafter(t, np.float32(big))]
    return np.column_stack([rng.choice(np.array(pool[f], np.float32), ROWS) for f in range(cols)])


def save_booster(folder, index, name, params, rounds, x, label, rng):
    """A case of a booster other than gbtree. Its reference is predict of a DMatrix: 3.0's inplace_predict differs for dart."""
    params = dict({"eta": 0.5, "nthread": 1, "seed": 1}, **params)
    booster = xgb.train(params, xgb.DMatrix(x, label=label), rounds)
    booster.save_model(f"{folder}/{name}.json")
    booster.save_model(f"{folder}/{name}.ubj")
    sets = {"full": x[:ROWS], "edge": near_thresholds(rng, f"{folder}/{name}.json", x.shape[1])}
    for what, rows in sets.items():
        matrix = xgb.DMatrix(rows)
        rows.astype("<f4").tofile(f"{folder}/{name}.{what}.x.f32")
        booster.predict(matrix, output_margin=True).astype("<f4").tofile(f"{folder}/{name}.{what}.margin.f32")
        booster.predict(matrix).astype("<f4").tofile(f"{folder}/{name}.{what}.pred.f32")
        index.append({"model": name, "set": what, "rows": ROWS, "cols": x.shape[1], "objective": params["objective"],
                      "xgboost": xgb.__version__})


def boosters(folder, index):
    rng = np.random.default_rng(12)
    x = rng.normal(size=(600, 5)).astype(np.float32)
    x[:, 3] = np.round(2 * x[:, 3])
    effect = x[:, 0] + x[:, 1] * x[:, 2] - 0.5 * x[:, 3]
    x[rng.random(x.shape) < 0.1] = np.nan
    classes = np.digitize(effect, [-1, 1])
    dart = {"booster": "dart", "rate_drop": 0.4, "tree_method": "hist", "max_depth": 3}
    linear = {"booster": "gblinear", "updater": "coord_descent", "lambda": 0.01}
    add = lambda name, params, rounds, y: save_booster(folder, index, name, params, rounds, x, y, rng)
    add("dart", {**dart, "objective": "binary:logistic"}, 10, effect > 0.3)
    add("dart_forest", {**dart, "objective": "reg:squarederror", "normalize_type": "forest", "one_drop": 1, "base_score": 0.7}, 8, effect)
    add("dart_softprob", {**dart, "objective": "multi:softprob", "num_class": 3}, 5, classes)
    add("dart_parallel", {**dart, "objective": "count:poisson", "num_parallel_tree": 3, "subsample": 0.6}, 4, np.exp(effect / 3))
    if xgb.__version__ >= "3.4":
        add("dart_vectors", {**dart, "objective": "reg:squarederror", "multi_strategy": "multi_output_tree"}, 6, np.stack([effect, effect**2], 1))
    add("linear", {**linear, "objective": "reg:squarederror"}, 6, effect)
    add("linear_logistic", {**linear, "objective": "binary:logistic", "base_score": 0.3}, 4, effect > 0.3)
    add("linear_poisson", {**linear, "objective": "count:poisson"}, 4, np.exp(effect / 3))
    add("linear_softprob", {**linear, "objective": "multi:softprob", "num_class": 3}, 4, classes)
    add("linear_softmax", {**linear, "objective": "multi:softmax", "num_class": 3}, 4, classes)
    add("linear_targets", {**linear, "objective": "reg:squarederror"}, 4, np.stack([effect, 3 - effect], 1))


def trees(folder, index):
    rng = np.random.default_rng(11)
    frame, effect = data(rng, 1000)
    save(folder, index, "logistic", {"objective": "binary:logistic"}, 9, frame, effect > 1.5, rng)
    save(folder, index, "softprob", {"objective": "multi:softprob", "num_class": 3}, 3, frame, np.clip(effect, 0, 2).astype(int), rng)
    save(folder, index, "vectors", {"objective": "reg:squarederror", "multi_strategy": "multi_output_tree"}, 3,
         frame[["size", "age"]], np.stack([effect, -effect], 1), rng)


def main(root):
    folder = f"{root}/xgb-{xgb.__version__}"
    os.makedirs(folder, exist_ok=True)
    index = []
    if xgb.__version__ >= "3.4":
        trees(folder, index)
    boosters(folder, index)
    with open(f"{folder}/index.json", "w", encoding="utf-8") as f:
        json.dump(index, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
