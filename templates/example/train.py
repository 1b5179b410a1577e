"""Train {{.Name}} and write its model folder.

    python models/{{.Name}}/train.py

Needs numpy, pandas and xgboost 3 (pip install numpy pandas xgboost). The data is made here, from a fixed seed: orders of a
delivery service and how many minutes each took. Put your own table and your own training in place of orders() and train();
the export at the end stays as it is.
"""

import pathlib
import sys

import numpy as np
import pandas as pd
import xgboost

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "python"))
from millrace_export import export  # noqa: E402

VEHICLES = ["bike", "car", "van"]


def orders(n=4000):
    """Made-up orders as callers send them, and the minutes they took."""
    random = np.random.default_rng(7)
    raw = pd.DataFrame({
        "ordered_at": pd.Timestamp("2025-01-06") + pd.to_timedelta(random.integers(0, 60 * 24 * 84, n), unit="min"),
        "distance_km": random.uniform(0.3, 15, n).round(1),
        "items": random.integers(1, 13, n),
        "vehicle": pd.Categorical(random.choice(VEHICLES, n, p=[0.5, 0.3, 0.2]), categories=VEHICLES),
        "rain": random.random(n) < 0.25,
        "load": random.uniform(0, 1, n).round(2),
    })
    raw.loc[random.random(n) < 0.05, "load"] = np.nan  # not always measured: the input is nullable
    pace = raw["vehicle"].map({"bike": 4.0, "car": 2.4, "van": 2.8}).astype(float)
    rush = raw["ordered_at"].dt.hour.isin([8, 9, 17, 18]) & (raw["ordered_at"].dt.day_of_week < 5)
    minutes = 9 + raw["distance_km"] * pace * np.where(rush & (raw["vehicle"] != "bike"), 1.5, 1.0) + 0.4 * raw["items"]
    minutes += np.where(raw["rain"], 4.0, 0.0) + 12 * raw["load"].fillna(0.5) ** 2 + random.normal(0, 2, n)
    return raw, minutes.to_numpy().round(1)


def matrix(raw):
    """What the model sees, in training order."""
    X = raw[["distance_km", "items", "vehicle", "rain", "load"]].copy()
    X["hour"] = raw["ordered_at"].dt.hour
    X["weekday"] = raw["ordered_at"].dt.day_of_week  # Monday is 0
    return X


def train(X, minutes):
    settings = dict(objective="reg:squarederror", max_depth=4, eta=0.3, tree_method="hist", seed=1, nthread=1)
    return xgboost.train(settings, xgboost.DMatrix(X, label=minutes, enable_categorical=True), num_boost_round=30)


def main():
    raw, minutes = orders()
    X, known = matrix(raw), 3000  # the last 1000 orders judge the model
    model = train(X[:known], minutes[:known])
    guess = model.predict(xgboost.DMatrix(X[known:], enable_categorical=True))
    print(f"mean error {np.mean(np.abs(guess - minutes[known:])):.2f} minutes, of the constant mean "
          f"{np.mean(np.abs(minutes[:known].mean() - minutes[known:])):.2f}")
    export(
        model, X[:known], "{{.Name}}", folder=HERE.parent, version="1", overwrite=True,
        description="Minutes until an order is delivered", serve={{.ServeJSON}},
        raw=raw[:known], expressions={"hour": "hour(ordered_at)", "weekday": "weekday(ordered_at)"},
        ranges={"distance_km": (0, None), "items": (1, None), "load": (0, 1)},
        outputs=[{"name": "minutes", "min": 0}], id_columns=["order_id"], parity_rows=32,
    )
    sample = raw[known:known + 100].copy()
    sample.insert(0, "order_id", range(known + 1, known + 101))
    sample["vehicle"], sample["rain"] = sample["vehicle"].astype(str), sample["rain"].map({True: "true", False: "false"})
    sample.to_csv(HERE / "sample.csv", index=False, date_format="%Y-%m-%d %H:%M:%S", lineterminator="\n")


if __name__ == "__main__":
    main()
