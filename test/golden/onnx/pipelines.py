"""Models of scikit-learn, LightGBM and XGBoost, converted as their owners convert them."""

import importlib.metadata

import numpy as np
import onnx
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import BooleanTensorType, DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes, calculate_linear_regressor_output_shapes
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (AdaBoostRegressor, BaggingClassifier, ExtraTreesClassifier, ExtraTreesRegressor, GradientBoostingClassifier,
                              GradientBoostingRegressor, HistGradientBoostingClassifier, HistGradientBoostingRegressor, IsolationForest,
                              RandomForestClassifier, RandomForestRegressor, VotingClassifier, VotingRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (Binarizer, MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder, RobustScaler,
                                   StandardScaler)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

ROWS = 24
COLOURS = ["red", "grün", "", "日本", "blue"]
SHAPES = ["round", "square", "flat"]
OPSET = {"": 18, "ai.onnx.ml": 3}


def versions():
    names = ["scikit-learn", "skl2onnx", "onnxmltools", "lightgbm", "xgboost", "onnx", "onnxruntime"]
    return {n: importlib.metadata.version(n) for n in names}


def plain(value):
    """Python's own numbers: some converters hand truth values and numpy's to onnx, which takes neither."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (bool, np.bool_, np.integer)):
        return int(value)
    return value


def plain_attributes():
    original = onnx.helper.make_attribute
    onnx.helper.make_attribute = lambda key, value, *rest, **more: original(key, plain(value), *rest, **more)


def register():
    plain_attributes()
    classifier, regressor = calculate_linear_classifier_output_shapes, calculate_linear_regressor_output_shapes
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(LGBMClassifier, "LightGbmLGBMClassifier", classifier, convert_lightgbm, options=options)
    update_registered_converter(LGBMRegressor, "LightGbmLGBMRegressor", regressor, convert_lightgbm, options={"split": None})
    update_registered_converter(XGBClassifier, "XGBoostXGBClassifier", classifier, convert_xgboost, options=options)
    update_registered_converter(XGBRegressor, "XGBoostXGBRegressor", regressor, convert_xgboost)


def numbers(rng, n, missing=0.0, edge=False):
    """Four numbers; edge adds what is special."""
    x = rng.normal(size=(n, 4)).astype(np.float32)
    x[:, 3] = np.round(3 * x[:, 3])
    x[rng.random(x.shape) < missing] = np.nan
    if edge:
        special = [np.inf, -np.inf, 0.0, -0.0, 1e-45, np.finfo(np.float32).max, -np.finfo(np.float32).max, 1e-35]
        if missing:
            special.append(np.nan)
        for i in range(n // 3):
            x[3 * i, rng.integers(0, 4)] = special[i % len(special)]
    return x


def target(x):
    v = np.nan_to_num(x.astype(np.float64), nan=0.5, posinf=3, neginf=-3)
    return v[:, 0] + v[:, 1] ** 2 - v[:, 2] * (v[:, 3] > 1)


def classes(y, n):
    return np.digitize(y, np.quantile(y, np.linspace(0, 1, n + 1)[1:-1]))


def frame(rng, n, unseen=False):
    """Numbers with gaps, two texts, a whole number, a truth value."""
    colours = COLOURS + (["never seen"] if unseen else [])
    out = pd.DataFrame({
        "size": rng.normal(size=n).astype(np.float32),
        "age": rng.normal(loc=40, scale=9, size=n).astype(np.float32),
        "colour": np.array(colours, dtype=object)[rng.integers(0, len(colours), n)],
        "shape": np.array(SHAPES, dtype=object)[rng.integers(0, 3, n)],
        "shop": rng.integers(0, 7, n),
    })
    out.loc[rng.random(n) < 0.2, "age"] = np.nan
    effect = out["size"] + 2 * (out["colour"].isin(["red", ""])) - (out["shop"] > 3) + (out["age"].fillna(45) / 10 - 4) ** 2
    return out, effect.to_numpy()


MIXED = [("size", FloatTensorType([None, 1])), ("age", FloatTensorType([None, 1])), ("colour", StringTensorType([None, 1])),
         ("shape", StringTensorType([None, 1])), ("shop", Int64TensorType([None, 1]))]


def mixed(onehot=True):
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    text = OneHotEncoder(handle_unknown="ignore") if onehot else OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("numbers", scaled, ["size", "age"]), ("texts", text, ["colour", "shape"]),
                              ("codes", OneHotEncoder(handle_unknown="ignore"), ["shop"])])


def matrix(rows, texts):
    return np.column_stack([[texts[c].index(v) for v in rows[c]] if c in texts else rows[c] for c in rows]).astype(np.float64)


def convert(model, inputs, **options):
    return convert_sklearn(model, initial_types=inputs, target_opset=options.pop("opset", OPSET), **options)


def single(rng):
    """Models over four numbers in one tensor."""
    x, hole = numbers(rng, 240), numbers(rng, 240, 0.15)
    y, z = target(x), target(hole)
    two, three = classes(y, 2), classes(y, 3)
    words = np.array(["low", "mid", "high"])[three]
    many = np.column_stack([y, 2 * y - x[:, 0]])
    small = dict(n_estimators=6, max_depth=4, random_state=1)
    boost = dict(n_estimators=8, max_depth=3, random_state=1)
    hist = dict(max_iter=8, max_depth=4, random_state=1)
    quiet = dict(n_estimators=8, max_depth=4, num_leaves=9, verbose=-1, n_jobs=1, random_state=1)
    cases = [
        ("tree_regressor", DecisionTreeRegressor(max_depth=5).fit(x, y), False),
        ("tree_classifier", DecisionTreeClassifier(max_depth=5).fit(x, words), False),
        ("tree_targets", DecisionTreeRegressor(max_depth=4).fit(x, many), False),
        ("forest_regressor", RandomForestRegressor(**small).fit(x, y), False),
        ("forest_targets", RandomForestRegressor(**small).fit(x, many), False),
        ("forest_two", RandomForestClassifier(**small).fit(x, two), False),
        ("forest_words", RandomForestClassifier(**small).fit(x, words), False),
        ("forest_missing", RandomForestRegressor(**small).fit(hole, z), True),
        ("extra_regressor", ExtraTreesRegressor(**small).fit(x, y), False),
        ("extra_three", ExtraTreesClassifier(**small).fit(x, three), False),
        ("boosting_regressor", GradientBoostingRegressor(**boost).fit(x, y), False),
        ("boosting_two", GradientBoostingClassifier(**boost).fit(x, two), False),
        ("boosting_three", GradientBoostingClassifier(**boost).fit(x, three), False),
        ("hist_regressor", HistGradientBoostingRegressor(**hist).fit(hole, z), True),
        ("hist_two", HistGradientBoostingClassifier(**hist).fit(hole, classes(z, 2)), True),
        ("hist_three", HistGradientBoostingClassifier(**hist).fit(hole, classes(z, 3)), True),
        ("isolation", IsolationForest(n_estimators=5, random_state=1).fit(x), False),
        ("bagging", BaggingClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=4, random_state=1).fit(x, three), False),
        ("linear", LinearRegression().fit(x, y), None),
        ("ridge_targets", Ridge().fit(x, many), None),
        ("elastic", ElasticNet(alpha=0.1).fit(x, y), None),
        ("logistic_two", LogisticRegression().fit(x, two), None),
        ("logistic_words", LogisticRegression().fit(x, words), None),
        ("one_vs_rest", OneVsRestClassifier(LogisticRegression()).fit(x, three), None),
        ("calibrated", CalibratedClassifierCV(RandomForestClassifier(**small), cv=2).fit(x, two), None),
        ("voting", VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3))], voting="soft", flatten_transform=False).fit(x, three), None),
        ("voting_regressor", VotingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3))]).fit(x, y), None),
        ("lightgbm_regressor", LGBMRegressor(**quiet).fit(hole, z), True),
        ("lightgbm_two", LGBMClassifier(**quiet).fit(hole, classes(z, 2)), True),
        ("lightgbm_three", LGBMClassifier(**quiet).fit(hole, classes(z, 3)), True),
        ("xgboost_regressor", XGBRegressor(n_jobs=1, **boost).fit(hole, z), True),
        ("xgboost_two", XGBClassifier(n_jobs=1, **boost).fit(hole, classes(z, 2)), True),
        ("xgboost_three", XGBClassifier(n_jobs=1, **boost).fit(hole, classes(z, 3)), True),
    ]
    for scaler in (MinMaxScaler(), MaxAbsScaler(), RobustScaler(), Normalizer("l1"), Normalizer("l2"), Normalizer("max"), Binarizer(threshold=0.2)):
        name = type(scaler).__name__.lower() + (scaler.norm if isinstance(scaler, Normalizer) else "")
        cases.append((name, make_pipeline(scaler, DecisionTreeRegressor(max_depth=5, random_state=1)).fit(x, y), None))
    for name, model, missing in cases:
        options = {"options": {id(model): {"zipmap": False}}} if hasattr(model, "classes_") and not name.startswith("hist_t") else {}
        rows = numbers(rng, ROWS, 0.15 if missing else 0.0, edge=missing is not None)
        graph = convert(model, [("X", FloatTensorType([None, 4]))], **options)
        yield {"model": name, "onnx": graph, "x": rows, "ulps": 4 if name == "calibrated" else 0}  # it takes an exponential
    for name, model in (("double_forest", RandomForestRegressor(**small).fit(x, y)), ("double_boosting", GradientBoostingRegressor(**boost).fit(x, y))):
        graph = convert(model, [("X", DoubleTensorType([None, 4]))])
        graph.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT  # what the operator gives, whatever the converter says
        yield {"model": name, "onnx": graph, "x": numbers(rng, ROWS, edge=True).astype(np.float64) + 1e-9}


def codes():
    """Codes of categories, which onnxmltools turns into chains of questions for one code each, with a child in common."""
    rng = np.random.default_rng(5)
    x, rows = numbers(rng, 400), numbers(rng, ROWS)
    for table in (x, rows):
        table[:, 3], table[:, 2] = rng.integers(0, 12, len(table)), rng.integers(0, 5, len(table))
    rows[:4, 3] = [50, np.nan, -1, 0]
    y = x[:, 0] + 2 * np.isin(x[:, 3], [1, 5, 9]) + np.isin(x[:, 2], [0, 4])
    model = LGBMRegressor(n_estimators=6, num_leaves=8, verbose=-1, n_jobs=1, random_state=1, min_data_per_group=5, cat_smooth=1, max_cat_to_onehot=1)
    yield {"model": "lightgbm_codes", "onnx": convert(model.fit(x, y, categorical_feature=[2, 3]), [("X", FloatTensorType([None, 4]))]), "x": rows}


def opsets():
    """The same models for older and newer runtimes."""
    rng = np.random.default_rng(6)
    x = numbers(rng, 240)
    boosting = GradientBoostingClassifier(n_estimators=6, random_state=1).fit(x, classes(target(x), 2))
    train, y = frame(rng, 300)
    pipeline = make_pipeline(mixed(), LogisticRegression()).fit(train, classes(y, 3))
    ordinal = make_pipeline(mixed(False), DecisionTreeRegressor(max_depth=5, random_state=1)).fit(train, y)
    rows, _ = frame(rng, ROWS, unseen=True)
    texts = {"colour": COLOURS + ["never seen"], "shape": SHAPES}
    for main, ml in ((9, 1), (12, 2), (15, 3), (21, 4)):
        end, opset = f"_{main}_{ml}", {"": main, "ai.onnx.ml": ml}
        graph = convert(boosting, [("X", FloatTensorType([None, 4]))], opset=opset, options={id(boosting): {"zipmap": False}})
        yield {"model": "boosting" + end, "onnx": graph, "x": numbers(rng, ROWS, edge=True)}
        graph = convert(pipeline, MIXED, opset=opset, options={id(pipeline): {"zipmap": False}})
        yield {"model": "pipeline" + end, "onnx": graph, "x": matrix(rows, texts), "texts": texts}
        if ml > 1:
            yield {"model": "ordinal" + end, "onnx": convert(ordinal, MIXED, opset=opset), "x": matrix(rows, texts), "texts": texts}


def composed(rng):
    """Pipelines with a ColumnTransformer over named columns, texts among them."""
    train, y = frame(rng, 300)
    two, three = classes(y, 2), np.array(["low", "mid", "high"])[classes(y, 3)]
    quiet = dict(n_estimators=8, max_depth=4, num_leaves=9, verbose=-1, n_jobs=1, random_state=1)
    small = dict(n_estimators=6, max_depth=5, random_state=1)
    cases = [
        ("pipeline_logistic", mixed(), LogisticRegression(), two),
        ("pipeline_ridge", mixed(), Ridge(), y),
        ("pipeline_forest", mixed(), RandomForestClassifier(**small), three),
        ("pipeline_ordinal", mixed(False), GradientBoostingRegressor(n_estimators=8, random_state=1), y),
        ("pipeline_hist", mixed(False), HistGradientBoostingRegressor(max_iter=8, max_depth=4), y),
        ("pipeline_lightgbm", mixed(False), LGBMClassifier(**quiet), three),
        ("pipeline_lightgbm_regressor", mixed(), LGBMRegressor(**quiet), y),
        ("pipeline_xgboost", mixed(), XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1), two),
        ("pipeline_xgboost_regressor", mixed(False), XGBRegressor(n_estimators=8, max_depth=3, n_jobs=1), y),
    ]
    for name, columns, model, labels in cases:
        if "hist" in name or "lightgbm" in name or "xgboost" in name:
            columns.set_params(sparse_threshold=0)
        fitted = make_pipeline(columns, model).fit(train, labels)
        rows, _ = frame(rng, ROWS, unseen=True)
        texts = {"colour": COLOURS + ["never seen"], "shape": SHAPES}
        options = {"options": {id(fitted): {"zipmap": name == "pipeline_forest"}}} if hasattr(model, "classes_") else {}
        yield {"model": name, "onnx": convert(fitted, MIXED, **options), "x": matrix(rows, texts), "texts": texts}


def cases():
    register()
    np.random.seed(1)  # of estimators without a state of their own
    rng = np.random.default_rng(7)
    yield from single(rng)
    yield from composed(rng)
    yield from codes()
    yield from opsets()
