"""The data of the exporter's tests, and the lines that they print."""

import json

import numpy as np
import pandas as pd


def frame(n=500):
    """What callers send, the matrix made of it, and a count to predict: times, gaps, texts, truth values."""
    rng = np.random.default_rng(3)
    raw = pd.DataFrame({
        "time": pd.Timestamp("2024-03-01 00:30:00") + pd.to_timedelta(rng.integers(0, 10_000, n), unit="h"),
        "wind": rng.normal(10, 5, n),
        "temp": rng.normal(10, 5, n).astype("float32").astype("float64"),
        "colour": pd.Categorical.from_codes(rng.integers(-1, 3, n), ["red", "grün", "blue"]),
        "open": rng.random(n) < 0.7,
    })
    raw.loc[rng.random(n) < 0.2, "wind"] = np.nan
    X = raw.drop(columns="time").assign(hour=raw["time"].dt.hour)
    y = rng.poisson(2 + X["hour"] / 6 + 3 * (X["colour"] == "red") + X["open"] * np.abs(X["temp"]) / 5)
    return raw, X, y


def done(name, form, outputs, trees):
    print(json.dumps({"folder": name, "format": form, "outputs": outputs, "trees": trees}))


def refused(what, kind, function, *args, **kw):
    try:
        function(*args, **kw)
    except kind as error:
        print(json.dumps({"refused": what, "message": str(error)}))
        return
    raise AssertionError(f"{what}: accepted")
