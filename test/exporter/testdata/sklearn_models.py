"""Exports scikit-learn models below the folder of the first argument, through ONNX. Prints a line for each, and one for each
refusal."""

import json
import sys

import numpy as np
import pandas as pd
from cases import done, frame, refused
from millrace_export import export, from_sklearn
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler


def table():
    """Texts as objects and as categories, whole numbers, truth values, gaps."""
    raw, X, y = frame()
    rng = np.random.default_rng(5)
    X = X.assign(colour=X["colour"].cat.add_categories("").fillna(""), shape=np.array(["round", "flat", ""], dtype=object)[rng.integers(0, 3, len(X))],
                 shop=rng.integers(0, 7, len(X)))
    return raw.assign(colour=X["colour"], shape=X["shape"], shop=X["shop"]), X, y


def columns(text, scale=True):
    numbers = make_pipeline(SimpleImputer(), StandardScaler()) if scale else "passthrough"
    return ColumnTransformer([("numbers", numbers, ["wind", "temp", "hour"]), ("texts", text, ["colour", "shape"]),
                              ("codes", OneHotEncoder(handle_unknown="ignore"), ["shop"])], sparse_threshold=0)


def pipelines(folder):
    raw, X, y = table()
    size = pd.cut(y, [-1, 3, 6, 1000], labels=["small", "medium", "large"]).astype(str)
    one = make_pipeline(columns(OneHotEncoder(handle_unknown="ignore")), LogisticRegression()).fit(X, size)
    export(one, X, "skl-size", version="1", folder=folder, raw=raw, expressions={"hour": "hour(time)"})
    done("skl-size", "onnx", ["probability_large", "probability_medium", "probability_small", "class"], 0)
    two = make_pipeline(columns(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)), GradientBoostingClassifier(n_estimators=6)).fit(X, np.where(y > 4, "many", "few"))
    from_sklearn(two, X, "skl-many", version="1", folder=folder)
    done("skl-many", "onnx", ["probability_few", "probability_many", "class"], 6)
    three = make_pipeline(columns(OneHotEncoder(handle_unknown="ignore")), LinearRegression()).fit(X, y)
    from_sklearn(three, X, "skl-count", version="1", folder=folder, outputs=[{"name": "count", "min": 0}])
    done("skl-count", "onnx", ["count"], 0)
    holes = X.assign(shape=X["shape"].where(X["shape"] != "", None))
    four = make_pipeline(columns(OneHotEncoder(handle_unknown="ignore")), LinearRegression()).fit(holes, X["shape"] == "")
    refused("missing texts", ValueError, from_sklearn, four, holes, "skl-holes", version="1", folder=folder)
    search = GridSearchCV(three, {"linearregression__fit_intercept": [True]}, cv=2).fit(X, y)
    from_sklearn(search, X, "skl-search", version="1", folder=folder)
    done("skl-search", "onnx", ["prediction"], 0)
    refused("overwrite", FileExistsError, from_sklearn, three, X, "skl-count", version="2", folder=folder)


def numbers(folder):
    """Estimators over numbers alone: missing ones, several outputs."""
    _, X, y = table()
    X = X[["wind", "temp", "hour", "open", "shop"]]
    from_sklearn(HistGradientBoostingRegressor(max_iter=7).fit(X, y), X, "skl-hist", version="1", folder=folder)
    done("skl-hist", "onnx", ["prediction"], 7)
    filled = X.fillna(0.0)
    from_sklearn(RandomForestRegressor(5, max_depth=4).fit(filled, np.column_stack([y, 2 * y])), filled, "skl-two", version="1", folder=folder)
    done("skl-two", "onnx", ["output_0", "output_1"], 5)
    logs = make_pipeline(FunctionTransformer(np.log1p), LinearRegression()).fit(filled.abs(), y)
    refused("a function", ValueError, from_sklearn, logs, filled.abs(), "skl-log", version="1", folder=folder)
    refused("times", TypeError, from_sklearn, LinearRegression(), filled.assign(time=pd.Timestamp("2024-01-01")), "skl-time", version="1", folder=folder)
    refused("texts", TypeError, from_sklearn, LinearRegression(), filled.assign(colour="red"), "skl-text", version="1", folder=folder)
    mixed = filled.assign(colour=["red", 1] * (len(filled) // 2))
    refused("mixed", TypeError, from_sklearn, LinearRegression(), mixed, "skl-mixed", version="1", folder=folder)


def boosters(folder):
    try:
        import lightgbm
        import onnxmltools  # noqa: F401
        import xgboost
    except ImportError as error:
        print(json.dumps({"skipped": f"boosters inside pipelines: {error}"}))
        return
    _, X, y = table()
    quiet = {"verbose": -1, "n_jobs": 1, "num_leaves": 7, "n_estimators": 5}
    size = pd.cut(y, [-1, 3, 6, 1000], labels=["small", "medium", "large"]).astype(str)
    one = make_pipeline(columns(OrdinalEncoder()), lightgbm.LGBMClassifier(**quiet)).fit(X, size)
    from_sklearn(one, X, "skl-lightgbm", version="1", folder=folder)
    done("skl-lightgbm", "onnx", ["probability_large", "probability_medium", "probability_small", "class"], 15)
    scaled = make_pipeline(columns(OneHotEncoder(handle_unknown="ignore")), xgboost.XGBRegressor(n_estimators=6, max_depth=3, n_jobs=1)).fit(X, y)
    refused("scaled", ValueError, from_sklearn, scaled, X, "skl-scaled", version="1", folder=folder)
    two = make_pipeline(columns(OneHotEncoder(handle_unknown="ignore"), scale=False), scaled[-1]).fit(X, y)
    from_sklearn(two, X, "skl-xgboost", version="1", folder=folder)
    done("skl-xgboost", "onnx", ["prediction"], 6)


def main(folder):
    pipelines(folder)
    numbers(folder)
    boosters(folder)


if __name__ == "__main__":
    main(sys.argv[1])
