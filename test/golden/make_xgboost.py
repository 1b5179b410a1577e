"""Writes the golden files of the XGBoost reader: small models with the outputs that XGBoost itself gives for them.

    OMP_NUM_THREADS=1 python3 test/golden/make_xgboost.py shared/forest/xgboost/testdata

needs numpy, pandas, pyarrow and xgboost (3.4.1 made the files in the repository). For each case it writes
<model>.json and <model>.ubj, and <model>.full.{x,margin,pred}.f32: row-major little-endian float32, NaN = missing.
index.json lists the cases.
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


def main(root):
    folder = f"{root}/xgb-{xgb.__version__}"
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(11)
    frame, effect = data(rng, 1000)
    index = []
    save(folder, index, "logistic", {"objective": "binary:logistic"}, 9, frame, effect > 1.5, rng)
    save(folder, index, "softprob", {"objective": "multi:softprob", "num_class": 3}, 3, frame, np.clip(effect, 0, 2).astype(int), rng)
    save(folder, index, "vectors", {"objective": "reg:squarederror", "multi_strategy": "multi_output_tree"}, 3,
         frame[["size", "age"]], np.stack([effect, -effect], 1), rng)
    with open(f"{folder}/index.json", "w", encoding="utf-8") as f:
        json.dump(index, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
