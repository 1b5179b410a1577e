"""Train bike-demand and write its model folder.

    python models/bike-demand/train.py path/to/hour.csv

Needs numpy, pandas and xgboost 3 (pip install numpy pandas xgboost). hour.csv is "Bike Sharing Dataset" of the UCI
Machine Learning Repository, number 275 (CC BY 4.0): Fanaee-T H., Gama J., "Event labeling combining ensemble detectors
and background knowledge", Progress in Artificial Intelligence (2013).

The model learns from 2011 and is judged on 2012, a year it has not seen. Both figures are printed, beside those of the
baseline "mean of the hour on working and other days"; README.md quotes them.
"""

import pathlib
import sys

import numpy as np
import pandas as pd
import xgboost

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "python"))
from millrace_export import export  # noqa: E402

SEASONS, WEATHER = [1, 2, 3, 4], [1, 2, 3, 4]


def load(path):
    """The file's rows as callers send them. casual and registered add up to cnt: they are the answer, not inputs."""
    frame = pd.read_csv(path)
    raw = frame[["dteday", "hr", "season", "holiday", "workingday", "weathersit", "temp", "atemp", "hum", "windspeed"]].copy()
    raw["dteday"] = pd.to_datetime(raw["dteday"], format="%m/%d/%Y")
    raw["season"] = pd.Categorical(raw["season"], categories=SEASONS)
    raw["weathersit"] = pd.Categorical(raw["weathersit"], categories=WEATHER)
    raw[["holiday", "workingday"]] = raw[["holiday", "workingday"]].astype(bool)
    return raw, frame["cnt"].to_numpy(), raw["dteday"].dt.year.to_numpy()


def matrix(raw):
    """What the model sees, in training order."""
    X = pd.DataFrame(index=raw.index)
    X["hr"] = raw["hr"]
    X["month"] = raw["dteday"].dt.month
    X["weekday"] = raw["dteday"].dt.day_of_week  # Monday is 0
    for c in ("season", "holiday", "workingday", "weathersit", "temp", "atemp", "hum", "windspeed"):
        X[c] = raw[c]
    return X


def quality(name, truth, guess):
    mae = np.mean(np.abs(truth - guess))
    rmse = np.sqrt(np.mean((truth - guess) ** 2))
    r2 = 1 - np.sum((truth - guess) ** 2) / np.sum((truth - np.mean(truth)) ** 2)
    print(f"{name:34} MAE {mae:6.1f}  RMSE {rmse:6.1f}  R2 {r2:6.3f}  bias {np.mean(guess - truth):+7.1f}")


def main(path):
    raw, count, year = load(path)
    X = matrix(raw)
    old, new = year == 2011, year == 2012
    settings = dict(
        objective="reg:squarederror", max_depth=6, eta=0.05, subsample=0.8, colsample_bytree=0.8, min_child_weight=5,
        tree_method="hist", seed=1, nthread=1,
    )
    model = xgboost.train(settings, xgboost.DMatrix(X[old], label=count[old], enable_categorical=True), num_boost_round=300)
    hours = pd.DataFrame({"hr": raw["hr"], "work": raw["workingday"], "cnt": count})
    means = hours[old].groupby(["hr", "work"])["cnt"].mean()
    baseline = np.array([means[key] for key in zip(hours["hr"], hours["work"])])
    for label, rows in (("2011 (training)", old), ("2012 (unseen)", new)):
        quality(f"mean by hour and working day, {label[:4]}", count[rows], baseline[rows])
        quality(f"bike-demand, {label}", count[rows], np.maximum(model.predict(xgboost.DMatrix(X[rows], enable_categorical=True)), 0))
    export(
        model, X[old], "bike-demand", folder=HERE.parent, version="2011", overwrite=True,
        description="Bikes rented in an hour", owner="team-bikes",
        raw=raw[old], expressions={"month": "month(dteday)", "weekday": "weekday(dteday)"},
        layouts={"dteday": ["1/2/2006", "2006-01-02"]},
        ranges={"hr": (0, 23), "temp": (0, 1), "atemp": (0, 1), "hum": (0, 1), "windspeed": (0, 1)},
        outputs=[{"name": "count", "min": 0, "unit": "bikes per hour"}], id_columns=["instant"],
        batch={
            "uploads": {"prefix": "bike-demand/", "mode": "each"},
            "schedules": [{"name": "nightly", "cron": "15 2 * * *", "zone": "America/New_York", "dataset": "scheduled/bike-demand/{date}.csv"}],
            "max_rejected": "5%",
        },
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
