"""Writes the golden files of the CatBoost reader: small models with the outputs that CatBoost itself gives for them.

    python3 test/golden/make_catboost.py shared/forest/catboost/testdata

needs numpy, pandas and catboost (1.2.10 made the files in the repository). For each case it writes <model>.json and
<model>.cbm, and <model>.{x,raw,pred}.f64: row-major little-endian float64, NaN = missing; a categorical column holds the
places of its categories in the lists of index.json. raw is RawFormulaVal, pred what predict gives by itself, or
predict_proba of a classifier (of two classes: the second column).
"""

import json
import os
import sys

import catboost
import numpy as np
import pandas as pd

ROWS = 40
COLOURS = ["red", "grün", "", "日本", "blue", "a category with a name of more than thirty-two bytes",
           "one with more than sixty-four bytes, as descriptions in data sets sometimes are", "x" * 200, "seventeen letters"]
SHOPS = [10, -20, 3, 4, 500, 7]


def data(rng, n):
    """Five features: three numbers, one with gaps and one a count, texts, whole numbers as categories."""
    frame = pd.DataFrame({
        "size": rng.normal(size=n).astype(np.float32),
        "age": rng.normal(size=n).astype(np.float32),
        "count": rng.integers(0, 9, n).astype(np.float32),
        "colour": rng.choice(COLOURS, n),
        "shop": rng.choice(SHOPS, n),
    })
    frame.loc[rng.random(n) < 0.2, "age"] = np.nan
    effect = (frame["size"] + (frame["colour"].str.len() % 3) - (frame["shop"] > 5) * frame["size"]
              + frame["age"].fillna(1.5) ** 2 - 0.1 * frame["count"])
    return frame, effect.to_numpy()


def edges(rng, file, frame, categories):
    """Rows of values on, just below and just above borders, between two float32, and of all that is special."""
    borders = {f["flat_feature_index"]: f.get("borders") or [] for f in json.load(open(file))["features_info"].get("float_features", [])}
    big = np.finfo(np.float32).max
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, float(big), -float(big), 1e300, -1e300, 1e-300]
    columns = []
    for i, c in enumerate(frame):
        if c in categories:
            columns.append(rng.integers(0, len(categories[c]), ROWS).astype(float))
            continue
        pool = list(special)
        for b in map(np.float32, borders[i]):
            up, down = np.nextafter(b, big), np.nextafter(b, -big)
            pool += [float(b), float(up), float(down), (float(b) + float(up)) / 2, np.nextafter(float(b), np.inf)]
        columns.append(rng.choice(pool, ROWS))
    return np.column_stack(columns)


def as_seen(x, frame, categories):
    """The matrix as CatBoost gets it: float32 numbers, categories by name."""
    with np.errstate(over="ignore"):
        return pd.DataFrame({c: [categories[c][int(v)] for v in x[:, i]] if c in categories else x[:, i].astype(np.float32)
                             for i, c in enumerate(frame)})


def save(folder, index, name, kind, params, frame, label, rng, bend=None, **fit):
    categories = {c: COLOURS if c == "colour" else SHOPS for c in frame if c in ("colour", "shop")}
    params = {"iterations": 5, "depth": 3, "learning_rate": 0.4, "one_hot_max_size": 255, "random_seed": 1, "thread_count": 1,
              "allow_writing_files": False, "verbose": False, **params}
    model = kind(**params).fit(frame, label, cat_features=list(categories), **fit)
    if bend:
        model = bend(model)
    model.save_model(f"{folder}/{name}.cbm")
    pool = catboost.Pool(frame, label, cat_features=list(categories))
    model.save_model(f"{folder}/{name}.json", format="json", pool=pool if categories else None)
    full = np.column_stack([[categories[c].index(v) for v in frame[c][:ROWS]] if c in categories else frame[c][:ROWS] for c in frame])
    x = np.concatenate([full.astype(float), edges(rng, f"{folder}/{name}.json", frame, categories)])
    seen = catboost.Pool(as_seen(x, frame, categories), cat_features=list(categories))
    raw = np.asarray(catboost.CatBoost.predict(model, seen, prediction_type="RawFormulaVal", thread_count=1))
    if hasattr(model, "predict_proba") and kind is catboost.CatBoostClassifier:
        pred = np.asarray(model.predict_proba(seen, thread_count=1))
        pred = pred[:, 1:] if raw.ndim == 1 else pred
    else:
        pred = np.asarray(model.predict(seen))
    for what, values in {"x": x, "raw": raw, "pred": pred}.items():
        values.astype("<f8").tofile(f"{folder}/{name}.{what}.f64")
    shrink(f"{folder}/{name}.json")
    loss = params.get("loss_function", {"CatBoostClassifier": "Logloss", "CatBoostRegressor": "RMSE"}.get(kind.__name__))
    index.append({"model": name, "rows": len(x), "cols": x.shape[1], "outputs": 1 if raw.ndim == 1 else raw.shape[1],
                  "objective": str(loss).split(":")[0], "catboost": catboost.__version__,
                  "categories": [list(map(str, categories[c])) if c in categories else None for c in frame]})


def shrink(file):
    """Drops the parameters of the training, which are larger than the trees."""
    with open(file, encoding="utf-8") as f:
        model = json.load(f)
    params = model["model_info"].get("params")
    if params:
        model["model_info"]["params"] = {"loss_function": params["loss_function"]}
    for key in ("output_options", "training"):
        model["model_info"].pop(key, None)
    with open(file, "w", encoding="utf-8") as f:
        json.dump(model, f, ensure_ascii=False)
        f.write("\n")


def refused(folder, frame, effect):
    """Models with what the reader refuses by name: statistics of categories, texts, embeddings."""
    os.makedirs(folder, exist_ok=True)
    params = {"iterations": 2, "depth": 2, "random_seed": 1, "thread_count": 1, "allow_writing_files": False, "verbose": False}
    mix = frame[["size"]].assign(code=(frame.index % 9).astype(str))
    model = catboost.CatBoostRegressor(cat_features=["code"], **params).fit(mix, effect + 9 * (frame.index % 9 > 4))
    model.save_model(f"{folder}/ctr.cbm")
    model.save_model(f"{folder}/ctr.json", format="json", pool=catboost.Pool(mix, effect, cat_features=["code"]))
    shrink(f"{folder}/ctr.json")
    words = frame[["size"]].assign(text=np.where(effect > 1, "good bye", "hello world"))
    catboost.CatBoostClassifier(text_features=["text"], **params).fit(words, effect > 1).save_model(f"{folder}/text.cbm")
    lists = frame[["size"]].assign(list=[[v, -v] for v in effect])
    catboost.CatBoostRegressor(embedding_features=["list"], **params).fit(lists, effect).save_model(f"{folder}/embedding.cbm")


def main(root):
    folder = f"{root}/cb-{catboost.__version__}"
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(11)
    frame, effect = data(rng, 1500)
    numbers = frame[["size", "age", "count"]]
    classes = np.digitize(effect, [0, 2])
    index = []
    regressor, classifier, ranker = catboost.CatBoostRegressor, catboost.CatBoostClassifier, catboost.CatBoostRanker

    def add(name, kind, params, f=numbers, y=effect, **kw):
        save(folder, index, name, kind, params, f, y, rng, **kw)

    add("rmse", regressor, {})
    add("default_depth", regressor, {"depth": 6, "iterations": 7})
    add("deep", regressor, {"depth": 10, "iterations": 2})
    add("onehot", classifier, {"iterations": 12}, frame, effect > 1)
    add("onehot_lossguide", classifier, {"iterations": 6, "grow_policy": "Lossguide", "max_leaves": 7}, frame, effect > 1)
    add("onehot_multi", classifier, {"iterations": 6, "loss_function": "MultiClass"}, frame, classes)
    add("nan_max", regressor, {"nan_mode": "Max"})
    add("nan_unseen", regressor, {}, numbers.fillna(0.25))
    add("depthwise", regressor, {"grow_policy": "Depthwise"})
    add("depthwise_nan_max", regressor, {"grow_policy": "Depthwise", "nan_mode": "Max"})
    add("lossguide", regressor, {"grow_policy": "Lossguide", "max_leaves": 9, "depth": 8})
    add("lossguide_multi", classifier, {"grow_policy": "Lossguide", "max_leaves": 6, "loss_function": "MultiClass"}, y=classes)
    add("multiclass", classifier, {"loss_function": "MultiClass"}, y=np.array(["low", "mid", "high"])[classes])
    add("one_vs_all", classifier, {"loss_function": "MultiClassOneVsAll"}, y=classes)
    add("multi_logloss", classifier, {"loss_function": "MultiLogloss"}, y=np.stack([effect > 0, effect < 2], 1).astype(int))
    add("cross_entropy", classifier, {"loss_function": "CrossEntropy"}, y=1 / (1 + np.exp(-effect)))
    add("poisson", regressor, {"loss_function": "Poisson"}, y=np.exp(effect / 4))
    add("tweedie", regressor, {"loss_function": "Tweedie:variance_power=1.5"}, y=np.exp(effect / 4))
    for loss in ("MAE", "Quantile:alpha=0.7", "LogLinQuantile", "Expectile:alpha=0.3", "Lq:q=3", "MAPE", "Huber:delta=1", "LogCosh",
                 "MultiQuantile:alpha=0.1,0.5,0.9", "SurvivalAft", "Cox", "RMSEWithUncertainty"):
        y = np.stack([np.exp(effect), np.exp(effect) + 1], 1) if loss == "SurvivalAft" else effect
        add(loss.split(":")[0].lower(), regressor, {"loss_function": loss, "iterations": 2}, y=y)
    add("multi_rmse", regressor, {"loss_function": "MultiRMSE"}, y=np.stack([effect, 3 - effect, effect**2], 1))
    add("yetirank", ranker, {"loss_function": "YetiRank", "iterations": 2}, y=classes, group_id=np.repeat(np.arange(30), 50))
    add("scaled", regressor, {}, bend=lambda m: (m.set_scale_and_bias(0.3, -1.7), m)[1])
    add("only_scaled", regressor, {"boost_from_average": False}, bend=lambda m: (m.set_scale_and_bias(-3.3, [0.0]), m)[1])
    add("constant", regressor, {"iterations": 1}, y=np.full(1500, 2.5) + (np.arange(1500) == 0))
    add("summed", regressor, {}, bend=lambda m: catboost.sum_models([m, m], weights=[0.7, 0.4]))
    refused(f"{root}/refused", frame[:60], effect[:60])
    with open(f"{folder}/index.json", "w", encoding="utf-8") as f:
        json.dump(index, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
