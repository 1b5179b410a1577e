"""Exports LightGBM models below the folder of the first argument. Prints a line for each, and one for each refusal."""

import json
import sys

import lightgbm as lgb
import numpy as np
import pandas as pd
from cases import done, frame, refused
from millrace_export import export

QUIET = {"verbose": -1, "num_threads": 1, "seed": 1, "num_leaves": 7, "min_data_in_leaf": 5}


def regression(folder):
    raw, X, y = frame()
    train, held_out = lgb.Dataset(X[:400], y[:400]), lgb.Dataset(X[400:], y[400:] * 3)
    booster = lgb.train(dict(QUIET, objective="poisson"), train, 60, valid_sets=[held_out], callbacks=[lgb.early_stopping(3, verbose=False)])
    assert 0 < booster.best_iteration < 60, booster.best_iteration
    export(booster, X, "lgb-count", version="1", folder=folder, raw=raw, expressions={"hour": "hour(time)"})
    done("lgb-count", "lightgbm", ["prediction"], booster.best_iteration)
    refused("overwrite", FileExistsError, export, booster, X, "lgb-count", version="2", folder=folder, raw=raw, expressions={"hour": "hour(time)"})
    export(booster, X, "lgb-count", version="1", folder=folder, raw=raw, expressions={"hour": "hour(time)"}, overwrite=True)
    other = X.assign(colour=X["colour"].cat.reorder_categories(["red", "blue", "grün"]))
    refused("category order", ValueError, export, booster, other, "lgb-other", version="1", folder=folder)
    refused("feature order", ValueError, export, booster, X[X.columns[::-1]], "lgb-other", version="1", folder=folder)
    refused("a feature less", ValueError, export, booster, X[X.columns[1:]], "lgb-other", version="1", folder=folder)
    refused("no model", TypeError, export, object(), X, "lgb-other", version="1", folder=folder)


def linear(folder):
    _, X, y = frame()
    X = X[["wind", "temp", "hour"]]
    booster = lgb.train(dict(QUIET, objective="regression", linear_tree=True), lgb.Dataset(X, y), 8)
    export(booster, X, "lgb-linear", version="1", folder=folder, outputs=[{"name": "count", "min": 0}])
    done("lgb-linear", "lightgbm", ["count"], 8)


def classes(folder):
    """String labels, two and three, and codes that a missing one made float."""
    _, X, y = frame()
    size = pd.cut(y, [-1, 3, 6, 1000], labels=["small", "medium", "large"]).astype(str)
    model = lgb.LGBMClassifier(n_estimators=5, **QUIET).fit(X, size)
    export(model, X, "lgb-size", version="1", folder=folder)
    done("lgb-size", "lightgbm", ["probability_large", "probability_medium", "probability_small", "class"], 15)
    X = X.assign(shop=np.where(np.arange(len(X)) % 9 == 0, np.nan, np.arange(len(X)) % 5))
    model = lgb.LGBMClassifier(n_estimators=5, boosting_type="dart", **QUIET).fit(X, np.where(y > 4, "many", "few"), categorical_feature=["shop", "colour"])
    export(model, X, "lgb-many", version="1", folder=folder)
    done("lgb-many", "lightgbm", ["probability", "class"], 5)


def main(folder):
    regression(folder)
    linear(folder)
    try:
        import sklearn  # noqa: F401
    except ImportError:
        print(json.dumps({"skipped": "string labels: no scikit-learn"}))
        return
    classes(folder)


if __name__ == "__main__":
    main(sys.argv[1])
