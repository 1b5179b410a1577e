"""Exports CatBoost models below the folder of the first argument. Prints a line for each, and one for each refusal."""

import sys

import catboost
import numpy as np
import pandas as pd
from cases import done, frame, refused
from millrace_export import export

QUIET = {"thread_count": 1, "random_seed": 1, "depth": 4, "verbose": False, "allow_writing_files": False}
HOT = dict(QUIET, one_hot_max_size=255)


def table():
    """The rows of all libraries, with texts and whole numbers as categories and without gaps in them."""
    raw, X, y = frame()
    colour = X["colour"].astype(object).where(X["colour"].notna(), "none")
    shop = np.random.default_rng(5).integers(0, 6, len(X)) * 7 - 14
    return raw.assign(colour=colour, shop=shop), X.assign(colour=colour, shop=shop), y + 3 * (shop > 0)


def numbers(folder):
    raw, X, y = table()
    X, raw = X.drop(columns=["colour", "shop"]), raw.drop(columns=["colour", "shop"])
    model = catboost.CatBoostRegressor(iterations=9, loss_function="Poisson", **QUIET).fit(X, y)
    export(model, X, "cat-count", version="1", folder=folder, raw=raw, expressions={"hour": "hour(time)"})
    done("cat-count", "catboost", ["prediction"], 9)
    refused("feature order", ValueError, export, model, X[X.columns[::-1]], "cat-other", version="1", folder=folder)
    model = catboost.CatBoostRegressor(iterations=5, grow_policy="Lossguide", loss_function="MultiRMSE", **QUIET).fit(X, np.stack([y, -y], 1))
    export(model, X, "cat-two", version="1", folder=folder)
    done("cat-two", "catboost", ["output_0", "output_1"], 5)


def categories(folder):
    _, X, y = table()
    model = catboost.CatBoostClassifier(iterations=12, cat_features=["colour", "shop"], **HOT).fit(X, np.where(y > 6, "many", "few"))
    export(model, X, "cat-hot", version="1", folder=folder)
    done("cat-hot", "catboost", ["probability", "class"], 12)
    dtyped = X.assign(colour=X["colour"].astype("category"))
    model = catboost.CatBoostClassifier(iterations=6, loss_function="MultiClass", cat_features=["colour", "shop"], **HOT)
    model.fit(dtyped, np.digitize(y, [4, 8]))
    export(model, dtyped, "cat-multi", version="1", folder=folder, labels=["few", "some", "many"])
    done("cat-multi", "catboost", ["probability_few", "probability_some", "probability_many", "class"], 6)
    gaps = X.assign(colour=X["colour"].where(X["colour"] != "none"))
    refused("missing category", ValueError, export, model, gaps, "cat-other", version="1", folder=folder)
    model = catboost.CatBoostRegressor(iterations=4, cat_features=["shop"], **QUIET).fit(X[["wind", "shop"]], y)
    refused("statistics", ValueError, export, model, X[["wind", "shop"]], "cat-other", version="1", folder=folder)
    words = pd.DataFrame({"wind": X["wind"], "text": X["colour"] + " thing"})
    model = catboost.CatBoostClassifier(iterations=3, text_features=["text"], **QUIET).fit(words, (y > 6).astype(int))
    refused("texts", ValueError, export, model, words, "cat-other", version="1", folder=folder)


def main(folder):
    numbers(folder)
    categories(folder)


if __name__ == "__main__":
    main(sys.argv[1])
