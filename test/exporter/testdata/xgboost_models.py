"""Exports XGBoost models below the folder of the first argument. Prints a line for each, and one for each refusal."""

import json
import sys

import pandas as pd
import xgboost as xgb
from cases import done, frame, refused
from millrace_export import export

QUIET = {"nthread": 1, "seed": 1, "max_depth": 3, "tree_method": "hist"}


def regression(folder):
    raw, X, y = frame()
    booster = xgb.train(dict(QUIET, objective="count:poisson"), xgb.DMatrix(X, y, enable_categorical=True), 9)
    export(booster, X, "xgb-count", version="1", folder=folder, raw=raw, expressions={"hour": "hour(time)"}, ranges={"wind": (None, 100)})
    done("xgb-count", "xgboost", ["prediction"], 9)
    refused("overwrite", FileExistsError, export, booster, X, "xgb-count", version="2", folder=folder, raw=raw, expressions={"hour": "hour(time)"})
    refused("feature order", ValueError, export, booster, X[X.columns[::-1]], "xgb-other", version="1", folder=folder)
    refused("no model", TypeError, export, object(), X, "xgb-other", version="1", folder=folder)


def boosters(folder):
    _, X, y = frame()
    X = X.drop(columns="colour")
    dart = xgb.train(dict(QUIET, booster="dart", rate_drop=0.5, objective="reg:squarederror"), xgb.DMatrix(X, y), 7)
    export(dart, X, "xgb-dart", version="1", folder=folder)
    done("xgb-dart", "xgboost", ["prediction"], 7)
    linear = xgb.train({"nthread": 1, "booster": "gblinear", "updater": "coord_descent", "objective": "count:poisson"}, xgb.DMatrix(X, y), 4)
    export(linear, X, "xgb-linear", version="1", folder=folder)
    done("xgb-linear", "xgboost", ["prediction"], 0)


def classes(folder):
    from sklearn.preprocessing import LabelEncoder

    _, X, y = frame()
    size = pd.cut(y, [-1, 3, 6, 1000], labels=["small", "medium", "large"]).astype(str)
    encoder = LabelEncoder().fit(size)
    model = xgb.XGBClassifier(n_estimators=4, enable_categorical=True, max_depth=3, n_jobs=1).fit(X, encoder.transform(size))
    export(model, X, "xgb-size", version="1", folder=folder, labels=encoder.classes_)
    done("xgb-size", "xgboost", ["probability_large", "probability_medium", "probability_small", "class"], 12)


def main(folder):
    regression(folder)
    boosters(folder)
    try:
        import sklearn  # noqa: F401
    except ImportError:
        print(json.dumps({"skipped": "string labels: no scikit-learn"}))
        return
    classes(folder)


if __name__ == "__main__":
    main(sys.argv[1])
