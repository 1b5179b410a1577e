"""Write a Millrace model folder from a notebook.

    from millrace_export import export
    export(model, X, "bike-demand", version="2011")

writes models/bike-demand/ with model.yaml, the artifact, parity.jsonl and baseline.json, which `millrace validate
bike-demand` accepts as it is. The model is one of XGBoost or LightGBM, a Booster or a scikit-learn wrapper, one of CatBoost,
or an estimator or Pipeline of scikit-learn, which becomes an ONNX graph. X is the training matrix as the model saw it: a
pandas DataFrame whose column order is the feature order and whose category columns carry the categories in training order.

When callers send something else than X (a timestamp instead of its hour), give the raw rows too, and say how features
come from them, in the syntax of docs/reference/expressions.md:

    export(model, X, "bike-demand", version="2011", raw=frame, expressions={"hour": "hour(time)"})

One file, needs numpy, pandas, and the model's library: xgboost 1.7 or later, lightgbm 3.3 or later, catboost 1.2,
or scikit-learn with skl2onnx and onnxruntime. Licence: Apache-2.0.
"""

import contextlib
import hashlib
import json
import math
import pathlib
import re
import shutil
import tempfile

import numpy as np
import pandas as pd

NAME = re.compile(r"[a-z][a-z0-9-]{1,20}[a-z0-9]")


def export(
    model,
    X,
    name,
    *,
    version,
    folder="models",
    description="",
    owner="",
    serve=("realtime", "batch"),
    raw=None,
    expressions=None,
    ranges=None,
    layouts=None,
    outputs=None,
    labels=None,
    id_columns=(),
    batch=None,
    realtime=None,
    parity_rows=64,
    overwrite=False,
):
    """Write the model folder of a model and return its path.

    model        Booster of xgboost or lightgbm, or a fitted wrapper such as XGBRegressor or LGBMClassifier; early stopping
                 is honoured by cutting the trees. Or a CatBoost, CatBoostClassifier, CatBoostRegressor or CatBoostRanker
                 without statistics of categories (train with one_hot_max_size=255), texts and embeddings
    X            DataFrame: the training matrix, columns in feature order
    name         the model's name, also the folder's: lower case letters, digits, hyphens, 3 to 22 characters
    version      text that every response and output row names
    serve        "realtime", "batch" or both
    raw          DataFrame with the same rows as X: what callers send; default X itself
    expressions  {feature: expression over raw's columns}, for features that are no column of raw
    ranges       {input: (smallest, largest)}, None for open ends
    layouts      {timestamp input: [layout, ...]}, Go layouts or "rfc3339"; the first one writes the parity rows
    outputs      list of dicts as in model.yaml; default: one per engine output
    labels       the classes by their numbers in training, such as LabelEncoder.classes_; default: the wrapper's own
    id_columns   columns of input files that are carried into the predictions
    batch        the block `batch` of model.yaml; default: uploads below <name>/
    realtime     the block `realtime` of model.yaml
    overwrite    replace what the exporter wrote before (README.md, train.py and anything else there stay)
    """
    if not NAME.fullmatch(name) or name == "stats":
        raise ValueError(f"name {name!r}: expected lower case letters, digits and hyphens, 3 to 22 characters, opening with a letter")
    if not isinstance(X, pd.DataFrame):
        raise TypeError(f"X is a {type(X).__name__}, expected a pandas DataFrame: its columns name the features")
    if len(X) == 0:
        raise ValueError("X has no rows: parity rows and the baseline are made from them")
    raw = X if raw is None else raw
    if len(raw) != len(X):
        raise ValueError(f"raw has {len(raw)} rows, X has {len(X)}: they must be the same rows in the same order")
    expressions = dict(expressions or {})
    features = [str(c) for c in X.columns]
    unknown = sorted(set(expressions) - set(features))
    if unknown:
        raise ValueError(f"expressions name {unknown}, which are no columns of X")
    missing = [f for f in features if f not in expressions and f not in raw.columns]
    if missing:
        raise ValueError(f"features {missing} are no columns of raw and have no expression")

    library = _library(model)
    X, raw = library.prepare(X, X), library.prepare(raw, X)
    if library.width() != len(features):
        raise ValueError(f"the model has {library.width()} features, X has {len(features)} columns")
    names = library.names()
    if names and names != features:
        raise ValueError(f"the model was trained with features {names}, X has {features}")
    predictions = library.predict(X)
    # Inputs are what a feature is made of: columns taken as they are, and names that an expression mentions.
    used = {f for f in features if f not in expressions}
    for text in expressions.values():
        used |= {c for c in map(str, raw.columns) if re.search(rf"(?<![\w.]){re.escape(c)}(?!\w)", text)}
    columns = [c for c in map(str, raw.columns) if c in used]
    inputs = [_input(raw[c], c, (ranges or {}).get(c), (layouts or {}).get(c), c in library.codes() and c not in expressions) for c in columns]
    if outputs is None:
        outputs = _outputs(library.classes() if labels is None else labels, predictions)

    target = pathlib.Path(folder) / name
    if (target / "model.yaml").exists() and not overwrite:
        raise FileExistsError(f"{target} exists; overwrite=True replaces it")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Everything is made beside the folder and moved in at the end: an interrupted export leaves no half model.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as temp:
        temp = pathlib.Path(temp)
        (temp / "artifact").mkdir()
        library.save(temp / library.file)
        digest = hashlib.sha256((temp / library.file).read_bytes()).hexdigest()
        rows = _sample(X, parity_rows)
        _write_parity(temp / "parity.jsonl", raw[columns], inputs, library.matrix(X), predictions, rows)
        (temp / "baseline.json").write_text(_lines(_baseline(raw[columns], inputs, predictions, outputs)), encoding="utf-8")
        manifest = {
            "name": name,
            "version": str(version),
            "description": description,
            "owner": owner,
            "serve": list(serve),
            "artifact": {"path": library.file, "format": library.format, "sha256": digest},
            "inputs": inputs,
            "features": [{"name": f, "expr": expressions[f]} if f in expressions else f for f in features],
            "outputs": outputs,
            "id_columns": list(id_columns),
            "realtime": realtime if realtime is not None or "realtime" not in serve else {},
            "batch": batch if batch is not None or "batch" not in serve else {"uploads": {"prefix": f"{name}/", "mode": "each"}},
        }
        (temp / "model.yaml").write_text(_yaml(manifest), encoding="utf-8")
        (target / "artifact").mkdir(parents=True, exist_ok=True)
        for file in (library.file, "parity.jsonl", "baseline.json", "model.yaml"):  # the manifest last: it names the others
            shutil.move(temp / file, target / file)
        for other in {_XGBoost.file, _LightGBM.file, _CatBoost.file, _ScikitLearn.file} - {library.file}:
            (target / other).unlink(missing_ok=True)
    return target


def from_sklearn(model, X, name, *, differ=0.01, **options):
    """Write the model folder of a scikit-learn estimator or Pipeline, as an ONNX graph, and return its path.

    X is the DataFrame that the model takes, with its text, category and number columns; whatever the model does with them (a
    ColumnTransformer with encoders, scalers, imputers) becomes part of the graph, wrappers of LightGBM and XGBoost inside a
    Pipeline too. Options are those of export, which takes such models itself; from_sklearn also sends a bare wrapper through
    ONNX. It needs skl2onnx and onnxruntime, and onnxmltools for the boosters. A missing text is the empty text to the graph.

    differ is the share of X's rows whose predictions may be another than the model's own by more than a thousandth: the graph
    computes in float32, and a value that lies on a threshold may take the other branch. Scalers before trees do that to the
    rows of training: leave them out, trees do not need them.
    """
    return export(_ScikitLearn(model, differ), X, name, **options)


class _XGBoost:
    """A model of XGBoost. It sees float32."""

    format, file = "xgboost", "artifact/model.ubj"

    def __init__(self, model):
        import xgboost

        self.xgboost = xgboost
        self.labels = getattr(model, "classes_", ())
        self.booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
        config = json.loads(self.booster.save_config())
        kind = config["learner"]["gradient_booster"]["name"]
        if kind not in ("gbtree", "dart", "gblinear"):
            raise ValueError(f"the model's booster is {kind!r}, expected 'gbtree', 'dart' or 'gblinear'")
        best = getattr(model, "best_iteration", None) if not isinstance(model, xgboost.Booster) else None
        if kind != "gblinear" and best is not None and best + 1 < self.booster.num_boosted_rounds():
            self.booster = self.booster[: best + 1]  # a file holds all trees; the wrapper predicts with these

    def width(self):
        return self.booster.num_features()

    def names(self):
        return list(self.booster.feature_names or [])

    def codes(self):
        return ()

    def classes(self):
        return self.labels

    def prepare(self, frame, X):
        return frame

    def predict(self, X):
        data = self.xgboost.DMatrix(X, enable_categorical=True)
        return np.asarray(self.booster.predict(data, validate_features=bool(self.names()))).reshape(len(X), -1)

    def matrix(self, X):
        return _numbers_of(X).astype("float32")

    def save(self, path):
        self.booster.save_model(path)


class _LightGBM:
    """A model of LightGBM. It sees float64. A Booster that stopped early predicts with its best iterations, and saves these."""

    format, file = "lightgbm", "artifact/model.txt"

    def __init__(self, model):
        import lightgbm

        self.labels = getattr(model, "classes_", ())
        self.booster = model if isinstance(model, lightgbm.Booster) else model.booster_
        text = self.booster.model_to_string(num_iteration=1)
        self.infos = re.search(r"^feature_infos=(.*)$", text, re.MULTILINE).group(1).split()

    def width(self):
        return self.booster.num_feature()

    def names(self):
        names = list(self.booster.feature_name())
        return [] if names == [f"Column_{i}" for i in range(len(names))] else names

    def codes(self):
        """The features that were trained as categories."""
        return [n for n, info in zip(self.booster.feature_name(), self.infos) if re.fullmatch(r"-?\d+(:-?\d+)*", info)]

    def classes(self):
        return self.labels

    def prepare(self, frame, X):
        return frame

    def predict(self, X):
        trained = [[_plain(v) for v in c] for c in self.booster.pandas_categorical or []]
        given = [[_plain(v) for v in X[c].cat.categories] for c in X.columns if isinstance(X[c].dtype, pd.CategoricalDtype)]
        if trained != given:
            raise ValueError(
                f"the model was trained with category columns of {_short(trained)}, X has {_short(given)}: "
                "give X the dtypes of the training frame (X[c].cat.set_categories)"
            )
        return np.asarray(self.booster.predict(self.matrix(X))).reshape(len(X), -1)

    def matrix(self, X):
        return _numbers_of(X)

    def save(self, path):
        self.booster.save_model(str(path))


class _ScikitLearn:
    """A model of scikit-learn, as the ONNX graph that skl2onnx makes of it. Its predictions are those of ONNX Runtime on one
    thread, which must be near the model's own. It sees float32 and texts."""

    format, file = "onnx", "artifact/model.onnx"

    def __init__(self, model, differ=0.01):
        import onnxruntime
        import skl2onnx

        self.runtime, self.skl2onnx, self.differ = onnxruntime, skl2onnx, differ
        self.model = getattr(model, "best_estimator_", model)  # of a search
        self.onnx = None

    def width(self):
        return len(self.columns)

    def names(self):
        return self.columns

    def codes(self):
        return ()

    def classes(self):
        classes = getattr(self.model, "classes_", ())
        return classes if isinstance(classes, np.ndarray) else ()

    def prepare(self, frame, X):
        """Give text columns a category dtype, with X's values; the first call, with X itself, converts the model."""
        for c in frame.columns:
            known = X[c] if c in X.columns else frame[c]
            if not isinstance(frame[c].dtype, pd.CategoricalDtype) and _texts(known):
                values = known.cat.categories if isinstance(known.dtype, pd.CategoricalDtype) else sorted(known.dropna().unique())
                frame = frame.assign(**{c: pd.Categorical(frame[c], categories=values)})
        if self.onnx is None:
            self.columns = [str(c) for c in X.columns]
            self._convert(frame, X)
        return frame

    def predict(self, X):
        outputs = self.session.get_outputs()
        columns = {str(c): self._feed(X[c], kind) for c, kind in zip(X.columns, self.kinds)}
        result = self.session.run(None, columns if self.columnar else {"X": np.hstack(list(columns.values()))})
        chosen = [r for r, o in zip(result, outputs) if o.name in ("probabilities", "output_probability")]
        chosen = chosen or [r for r, o in zip(result, outputs) if o.type in ("tensor(float)", "tensor(double)")]
        chosen = chosen or [r for r, o in zip(result, outputs) if o.type == "tensor(int64)"]
        if not chosen:
            raise ValueError(f"the converted model gives no numbers: its outputs are {[(o.name, o.type) for o in outputs]}")
        return np.column_stack([np.asarray(r).reshape(len(X), -1) for r in chosen])

    def matrix(self, X):
        return _numbers_of(X)

    def save(self, path):
        pathlib.Path(path).write_bytes(self.onnx)

    def _convert(self, frame, X):
        """A ColumnTransformer takes columns by name: numbers are float32 where the converter wants them so, else whole ones
        keep int64. Other models take one table of float32."""
        first = getattr(self.model, "steps", [("", self.model)])[0][1]
        self.columnar = type(first).__name__ == "ColumnTransformer"
        texts = [c for c in X.columns if _kind(frame[c], "float") == "text"]
        if texts and not self.columnar:
            raise TypeError(f"columns {texts} are texts: open the Pipeline with a ColumnTransformer that encodes them")
        problems = []
        for whole in ("float", "int64") if self.columnar else ("float",):
            self.kinds = [_kind(frame[c], whole) for c in X.columns]
            try:
                graph = self._graph()
                self.onnx = graph.SerializeToString()
                options = self.runtime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 4
                self.session = self.runtime.InferenceSession(self.onnx, options, providers=["CPUExecutionProvider"])
                self._compare(self.predict(frame), X)
                return
            except Exception as error:  # converters and the runtime raise of every kind
                problems.append(error)
        raise ValueError(f"the model cannot be exported through skl2onnx: {_short(str(problems[0]))}") from problems[0]

    def _graph(self):
        types = self.skl2onnx.common.data_types
        kinds = {"text": types.StringTensorType, "int64": types.Int64TensorType, "float": types.FloatTensorType}
        inputs = [(c, kinds[k]([None, 1])) for c, k in zip(self.columns, self.kinds)]
        if not self.columnar:
            inputs = [("X", types.FloatTensorType([None, len(self.columns)]))]
        _register_boosters(self.skl2onnx)
        options = {id(self.model): {"zipmap": False}} if hasattr(self.model, "predict_proba") else None
        with _plain_attributes():
            return self.skl2onnx.convert_sklearn(self.model, initial_types=inputs, options=options, target_opset={"": 18, "ai.onnx.ml": 3})

    def _compare(self, predictions, X):
        """Hold the converted model to the model itself."""
        own = self.model.predict_proba(X) if hasattr(self.model, "predict_proba") else self.model.predict(X)
        own = np.asarray(own, dtype="float64").reshape(len(X), -1)
        if own.shape != predictions.shape:
            raise ValueError(f"it gives {predictions.shape[1]} numbers a row, the model {own.shape[1]}")
        scale = np.maximum(np.abs(own), np.abs(own).max(axis=0))
        off = (np.abs(own - predictions) > 1e-3 * scale).any(axis=1)
        if off.mean() > self.differ:
            row = int(np.flatnonzero(off)[0])
            empty = [c for c in X.columns if _texts(X[c]) and X[c].isna().any()]
            raise ValueError(
                f"it differs from the model in {int(off.sum())} of {len(X)} rows, first in row {row}: {predictions[row]}, the model says {own[row]}; "
                + (f"texts are missing in {empty}: fill them before training" if empty else "scalers before trees do that (from_sklearn says why)")
            )

    @staticmethod
    def _feed(column, kind):
        """A column as the graph's input; a missing text is the empty one."""
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(object)
        if kind == "text":
            return np.array([[""] if pd.isna(v) else [v] for v in column], dtype=object)
        return column.to_numpy(dtype="float32" if kind == "float" else "int64", na_value=np.nan if kind == "float" else None).reshape(-1, 1)


def _texts(column):
    """Whether a column holds texts and nothing else."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return all(isinstance(v, str) for v in column.cat.categories)
    if not (pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype)):
        return False
    known = column.dropna()
    if not all(isinstance(v, str) for v in known):
        raise TypeError(f"input {column.name}: texts among other values; use one kind in a column")
    return True


def _kind(column, whole):
    """The kind of a graph's input: text, float, or int64 for whole numbers where whole says so."""
    if _texts(column):
        return "text"
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if pd.api.types.is_integer_dtype(values.dtype) and not column.isna().any():
        return whole
    if pd.api.types.is_numeric_dtype(values.dtype):  # truth values are numbers here
        return "float"
    raise TypeError(f"input {column.name}: dtype {column.dtype} is no input of a graph; use numbers or texts")


def _register_boosters(skl2onnx):
    """Teach skl2onnx the wrappers of LightGBM and XGBoost, where onnxmltools is installed."""
    shapes = skl2onnx.common.shape_calculator
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    for library, file, prefix, kind, more in (
        ("lightgbm", "LightGbm", "LightGbmLGBM", "LGBM", {"split": None}),
        ("xgboost", "XGBoost", "XGBoostXGB", "XGB", None),
    ):
        try:
            wrappers = __import__(library)
            converters = __import__(f"onnxmltools.convert.{library}.operator_converters.{file}", fromlist=["x"])
        except ImportError:
            continue
        convert = getattr(converters, f"convert_{library}")
        for end, shape, own in (
            ("Classifier", shapes.calculate_linear_classifier_output_shapes, options),
            ("Regressor", shapes.calculate_linear_regressor_output_shapes, more),
        ):
            skl2onnx.update_registered_converter(getattr(wrappers, kind + end), prefix + end, shape, convert, options=own)


@contextlib.contextmanager
def _plain_attributes():
    """Some converters hand truth values and numpy's numbers to onnx, which takes neither: give it Python's own meanwhile."""
    import onnx

    def plain(value):
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        return int(value) if isinstance(value, (bool, np.bool_, np.integer)) else value

    original = onnx.helper.make_attribute
    onnx.helper.make_attribute = lambda key, value, *rest, **more: original(key, plain(value), *rest, **more)
    try:
        yield
    finally:
        onnx.helper.make_attribute = original


class _CatBoost:
    """A model of CatBoost. It sees numbers in float32, and categories by the hashes of their texts."""

    format, file = "catboost", "artifact/model.cbm"

    # What predict gives by itself, or predict_proba of a classifier.
    kinds = {
        "Probability": ("Logloss", "CrossEntropy", "Focal", "MultiClass", "MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy"),
        "Exponent": ("Poisson", "Tweedie"),
        "RMSEWithUncertainty": ("RMSEWithUncertainty",),
    }

    def __init__(self, model):
        import catboost

        self.catboost, self.model = catboost, model
        if model.get_text_feature_indices() or model.get_embedding_feature_indices():
            raise ValueError("the model has text or embedding features, which Millrace does not read")
        with tempfile.TemporaryDirectory() as temp:
            model.save_model(f"{temp}/model.json", format="json")
            saved = json.loads(pathlib.Path(temp, "model.json").read_text(encoding="utf-8"))
        if saved["features_info"].get("ctrs"):
            raise ValueError(
                "the model splits by statistics of categories (CTR), which Millrace does not read: train with one_hot_max_size=255 "
                "and max_ctr_complexity=0, or encode the categories as numbers"
            )
        self.loss = str((model.get_all_params() or {}).get("loss_function", "")).split(":")[0]

    def width(self):
        return len(self.model.feature_names_)

    def names(self):
        names = list(self.model.feature_names_)
        return [] if names == [str(i) for i in range(len(names))] else names

    def codes(self):
        return ()

    def classes(self):
        exclusive = self.loss not in ("MultiLogloss", "MultiCrossEntropy")
        return [_plain(c) for c in self.model.classes_] if exclusive else ()

    def prepare(self, frame, X):
        """Give the columns of texts and whole numbers that were trained as categories a category dtype, with X's values."""
        for c in [X.columns[i] for i in self.model.get_cat_feature_indices() if i < len(X.columns)]:
            if c not in frame.columns:
                continue
            if frame[c].isna().any():
                raise ValueError(f"input {c}: some categories are missing; give missing ones a name of their own, as CatBoost wants it")
            values = X[c].cat.categories if isinstance(X[c].dtype, pd.CategoricalDtype) else sorted(X[c].unique())
            plain = [_plain(v) for v in values]
            if not all(isinstance(v, str) for v in plain) and not all(isinstance(v, int) and not isinstance(v, bool) for v in plain):
                raise TypeError(f"input {c}: categories {plain[:3]} are neither texts nor whole numbers")
            frame = frame.assign(**{c: pd.Categorical(frame[c], categories=values)})
        return frame

    def predict(self, X):
        kind = next((k for k, losses in self.kinds.items() if self.loss in losses), "RawFormulaVal")
        out = np.asarray(self.catboost.CatBoost.predict(self.model, X, prediction_type=kind, thread_count=1)).reshape(len(X), -1)
        return out[:, 1:] if self.loss in ("Logloss", "CrossEntropy", "Focal") else out

    def matrix(self, X):
        return _numbers_of(X)

    def save(self, path):
        self.model.save_model(str(path))


def _library(model):
    if isinstance(model, _ScikitLearn):
        return model
    libraries = {"xgboost": _XGBoost, "lightgbm": _LightGBM, "catboost": _CatBoost, "sklearn": _ScikitLearn}
    for kind in type(model).__mro__:
        library = libraries.get(kind.__module__.partition(".")[0])
        if library:
            return library(model)
    raise TypeError(f"the model is a {type(model).__module__}.{type(model).__name__}, expected one of xgboost, lightgbm, catboost or sklearn")


def _short(lists):
    text = repr(lists)
    return text if len(text) <= 200 else text[:200] + "…"


def _input(column, name, limits, layouts, code=False):
    """Describe one raw column; every type that has no place in a request is refused."""
    entry = {"name": name}
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        values = [_plain(v) for v in kind.categories]
        if not all(isinstance(v, (str, int, float)) and not isinstance(v, bool) for v in values):
            raise TypeError(f"input {name}: categories {values[:3]} are neither texts nor numbers")
        entry |= {"type": "categorical", "values": values}
    elif pd.api.types.is_bool_dtype(kind):
        entry["type"] = "boolean"
    elif pd.api.types.is_integer_dtype(kind):
        entry["type"] = "integer"
    elif code and (column.dropna() % 1 == 0).all():  # whole numbers that a missing one made float
        entry["type"] = "integer"
    elif pd.api.types.is_float_dtype(kind):
        entry["type"] = "number"
    elif pd.api.types.is_datetime64_any_dtype(kind):
        entry |= {"type": "timestamp", "layouts": list(layouts or ["rfc3339", "2006-01-02 15:04:05"])}
    else:
        raise TypeError(f"input {name}: dtype {kind} has no meaning in a request; use a number, bool, datetime64 or category column")
    if column.isna().any():
        entry["nullable"] = True
    for key, bound in zip(("min", "max"), limits or ()):
        if bound is not None:
            entry[key] = bound
    return entry


def _outputs(classes, predictions):
    width = predictions.shape[1]
    classes = [str(_plain(c)) for c in classes]
    if width > 1:
        names = [f"probability_{c}" for c in classes] if len(classes) == width else [f"output_{i}" for i in range(width)]
        return [{"name": n} for n in names] + ([{"name": "class", "labels": classes}] if len(classes) == width else [])
    if len(classes) == 2:
        return [{"name": "probability"}, {"name": "class", "labels": classes}]
    if len(classes) > 2:  # an objective that gives the number of the class
        return [{"name": "class_number"}, {"name": "class", "labels": classes}]
    return [{"name": "prediction"}]


def _sample(X, n):
    """Row numbers spread over the data, and for every column its extremes and a missing value: the rows that show a mistake."""
    picked = set(np.linspace(0, len(X) - 1, num=min(n, len(X)), dtype=int).tolist())
    for c in X.columns:
        values = X[c].cat.codes if isinstance(X[c].dtype, pd.CategoricalDtype) else X[c].astype("float64")
        values = np.asarray(values)
        known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        if len(known):
            picked.add(int(np.flatnonzero(values == known.min())[0]))
            picked.add(int(np.flatnonzero(values == known.max())[0]))
        if X[c].isna().any():
            picked.add(int(np.flatnonzero(X[c].isna())[0]))
    return sorted(picked)


def _write_parity(path, raw, inputs, matrix, predictions, rows):
    """One line a row: the instance as a client sends it, the matrix's own numbers, what the library predicts."""
    layouts = {i["name"]: i["layouts"][0] for i in inputs if i["type"] == "timestamp"}
    with open(path, "w", encoding="utf-8") as out:
        for r in rows:
            instance = {c: _instance(raw[c].iloc[r], layouts.get(c)) for c in raw.columns}
            prediction = [float(v) for v in predictions[r]]
            line = {
                "instance": {k: v for k, v in instance.items() if v is not None},
                "features": [None if math.isnan(v) else float(v) for v in matrix[r]],
                "prediction": prediction[0] if len(prediction) == 1 else prediction,
            }
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def _numbers_of(X):
    return np.column_stack([_codes(X[c]) for c in X.columns])


def _codes(column):
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.astype("float64")
        return codes.where(codes >= 0, np.nan)
    return column.astype("float64")


def _instance(value, layout):
    """A cell as JSON. Missing cells are left out: the manifest says that the input is nullable."""
    if pd.isna(value):
        return None
    if layout is not None:
        return _time(pd.Timestamp(value), layout)
    return _plain(value)


# The parts of Go's reference time, longest first, and their strftime twins.
_GO = [("2006", "%Y"), ("15", "%H"), ("01", "%m"), ("02", "%d"), ("04", "%M"), ("05", "%S")]


def _time(t, layout):
    if layout == "rfc3339":
        return t.strftime("%Y-%m-%dT%H:%M:%S") + (t.strftime("%z")[:3] + ":" + t.strftime("%z")[3:] if t.tzinfo else "Z")
    if layout == "1/2/2006":
        return f"{t.month}/{t.day}/{t.year}"
    for go, py in _GO:
        layout = layout.replace(go, py)
    if re.search(r"(?<!%)\d", layout):
        raise ValueError(f"layout {layout!r}: put one first that is rfc3339 or made of 2006 01 02 15 04 05")
    return t.strftime(layout)


def _baseline(raw, inputs, predictions, outputs):
    """The distribution of inputs and predictions in training: ten quantile bins for numbers, counts for categories."""
    numeric = [o["name"] for o in outputs if "labels" not in o]
    return {
        "rows": len(raw),
        "inputs": {i["name"]: _distribution(raw[i["name"]], i) for i in inputs},
        "predictions": {n: _numbers(predictions[:, k].astype("float64")) for k, n in enumerate(numeric) if k < predictions.shape[1]},
    }


def _distribution(column, entry):
    nulls = int(column.isna().sum())
    known = column.dropna()
    if entry["type"] in ("categorical", "boolean"):
        counts = known.value_counts(sort=False)
        return {"nulls": nulls, "counts": {_text(k): int(v) for k, v in counts.items()}}
    if entry["type"] == "timestamp":
        seconds = (pd.to_datetime(known, utc=True) - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        return {"nulls": nulls} | _numbers(seconds.to_numpy())
    return {"nulls": nulls} | _numbers(known.to_numpy(dtype="float64"))


def _numbers(values):
    if len(values) == 0:
        return {"count": 0}
    edges = np.unique(np.quantile(values, np.linspace(0, 1, 11)))
    counts = np.histogram(values, bins=edges)[0] if len(edges) > 1 else np.array([len(values)])
    return {
        "count": len(values),
        "mean": float(np.mean(values)),
        "std": float(np.std(values)),
        "edges": [float(e) for e in edges],
        "counts": [int(c) for c in counts],
    }


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def _text(value):
    value = _plain(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lines(baseline):
    """The baseline as JSON, a line for each input, so that a new version makes a readable diff."""
    parts = [f'"rows": {baseline["rows"]}']
    for key in ("inputs", "predictions"):
        rows = ",\n".join(f"  {json.dumps(n, ensure_ascii=False)}: {json.dumps(d, ensure_ascii=False)}" for n, d in baseline[key].items())
        parts.append(f'"{key}": {{\n{rows}\n }}')
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def _yaml(manifest):
    """The manifest as YAML. Small values stand on one line, as JSON, which is YAML; all text is quoted."""
    lines = ["# yaml-language-server: $schema=../../docs/reference/model.schema.json"]
    for key, value in manifest.items():
        if value is None or value == "" or value == []:
            continue
        if key in ("inputs", "features", "outputs"):
            lines += [f"{key}:"] + [f"  - {_flow(v)}" for v in value]
        elif key in ("realtime", "batch") and value:
            lines += [f"{key}:"] + [f"  {k}: {_flow(v)}" for k, v in value.items()]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z_/-]*[A-Za-z]", value) and value.lower() not in ("null", "true", "false", "yes", "no", "on", "off"):
        return value
    return json.dumps(_plain(value), ensure_ascii=False)
