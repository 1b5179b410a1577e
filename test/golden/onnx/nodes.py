"""Graphs made by hand: each operator that is read, and random tree ensembles with every mode, transform and aggregate."""

import itertools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

ROWS = 24
ML = "ai.onnx.ml"
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
POSTS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"]
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 2.0, -1.0, 1e30, 1e-40]


def table(rng, columns=4, rows=ROWS, special=True):
    """Halves and wholes, so that equal values happen, and what is special."""
    x = np.round(rng.normal(size=(rows, columns)) * 2) / 2
    for i in range(rows // 3 if special else 0):
        x[3 * i, rng.integers(0, columns)] = SPECIAL[i % len(SPECIAL)]
    return x.astype(np.float32)


def model(nodes, inputs, outputs, constants=(), ml=3, opset=18):
    """A graph; inputs are (name, type, columns), outputs (name, type)."""
    graph = helper.make_graph(
        nodes, "graph",
        [helper.make_tensor_value_info(n, t, [None, w] if w else [None]) for n, t, w in inputs],
        [helper.make_tensor_value_info(n, t, None) for n, t in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants])
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(ML, ml)])


def trees(rng, targets, modes, dense=None, positive=False, track=True, count=4, only=None):
    """Attributes of random trees. dense: leaves have a weight for each target; only: weights are of that target."""
    a = {k: [] for k in ("nodes_treeids nodes_nodeids nodes_featureids nodes_modes nodes_values nodes_truenodeids nodes_falsenodeids "
                         "nodes_missing_value_tracks_true treeids nodeids ids weights").split()}
    for t in range(count):
        def grow(node, depth):
            leaf = depth == 0 or rng.random() < 0.2 and node
            a["nodes_treeids"].append(t)
            a["nodes_nodeids"].append(node)
            a["nodes_featureids"].append(0 if leaf else int(rng.integers(0, 4)))
            a["nodes_modes"].append("LEAF" if leaf else str(rng.choice(modes)))
            a["nodes_values"].append(0.0 if leaf else float(np.round(rng.normal() * 2) / 2))
            a["nodes_truenodeids"].append(0 if leaf else 2 * node + 1)
            a["nodes_falsenodeids"].append(0 if leaf else 2 * node + 2)
            a["nodes_missing_value_tracks_true"].append(int(track and rng.random() < 0.5))
            if not leaf:
                grow(2 * node + 1, depth - 1)
                grow(2 * node + 2, depth - 1)
                return
            for k in range(targets) if dense else [only if only is not None else t % targets]:
                a["treeids"].append(t)
                a["nodeids"].append(node)
                a["ids"].append(k)
                w = rng.normal()
                a["weights"].append(float(np.float32(abs(w) / 4 if positive else w)))
        grow(0, 3)
        renumber(a, t)
    if not track:
        del a["nodes_missing_value_tracks_true"]
    return a


def renumber(a, t):
    """Number a tree's nodes in their order, as the runtime wants them below their number."""
    own = [i for i, k in enumerate(a["nodes_treeids"]) if k == t]
    new = {a["nodes_nodeids"][i]: k for k, i in enumerate(own)}
    for i in own:
        leaf = a["nodes_modes"][i] == "LEAF"
        a["nodes_nodeids"][i] = new[a["nodes_nodeids"][i]]
        for key in ("nodes_truenodeids", "nodes_falsenodeids"):
            a[key][i] = 0 if leaf else new[a[key][i]]
    for i, k in enumerate(a["treeids"]):
        if k == t:
            a["nodeids"][i] = new[a["nodeids"][i]]


def named(a, prefix, double=False):
    """The attributes under the operator's names."""
    out = {k if k.startswith("nodes") else f"{prefix}_{k}": v for k, v in a.items()}
    if double:
        for k in ("nodes_values", f"{prefix}_weights"):
            out[k + "_as_tensor"] = numpy_helper.from_array(np.array(out.pop(k), dtype=np.float64) + (1e-9 if k != "nodes_values" else 0))
    return out


def ensembles(rng):
    i = 0
    for aggregate, targets, mixed in itertools.product(["SUM", "AVERAGE", "MIN", "MAX"], [1, 3], [False, True]):
        post = POSTS[i % 5] if targets > 1 else ["NONE", "PROBIT"][i % 7 == 3]
        modes = MODES if mixed else [MODES[i % 4]]
        attributes = named(trees(rng, targets, modes, dense=i % 3 == 0, track=i % 4 != 1), "target")
        if i % 2:
            attributes["base_values"] = [float(v) for v in rng.normal(size=targets).astype(np.float32)]
        node = helper.make_node("TreeEnsembleRegressor", ["X"], ["Y"], domain=ML, n_targets=targets, aggregate_function=aggregate,
                                post_transform=post, **attributes)
        yield f"regressor_{aggregate.lower()}_{targets}_{'mixed' if mixed else modes[0][7:].lower()}", model([node], [("X", 1, 4)], [("Y", 1)]), table(rng)
        i += 1
    for double_targets in (1, 2):
        attributes = named(trees(rng, double_targets, MODES[:4], dense=double_targets > 1), "target", double=True)
        node = helper.make_node("TreeEnsembleRegressor", ["X"], ["Y"], domain=ML, n_targets=double_targets, **attributes)
        yield f"regressor_double_{double_targets}", model([node], [("X", 11, 4)], [("Y", 1)]), table(rng).astype(np.float64)


def classifiers(rng):
    for i, (classes, post) in enumerate(itertools.product([2, 3], POSTS)):
        for kind in ("one", "positive", "both"):
            if classes == 2 and kind != "both" and post == "PROBIT" or classes == 3 and kind == "positive":
                continue
            a = trees(rng, classes, MODES[:2] if i % 2 else MODES, dense=kind == "both", positive=kind == "positive",
                      only=None if classes == 3 else (i % 2 if kind == "one" else 0))
            attributes = named(a, "class")
            if i % 3 == 1:
                attributes["base_values"] = [float(v) for v in rng.normal(size=classes if kind == "both" or classes == 3 else 1).astype(np.float32)]
            labels = {"classlabels_int64s": [5, 7, 9][:classes]} if i % 2 else {"classlabels_strings": ["a", "ü", "c"][:classes]}
            node = helper.make_node("TreeEnsembleClassifier", ["X"], ["L", "probabilities"], domain=ML, post_transform=post, **attributes, **labels)
            name = f"classifier_{classes}_{post.lower()}_{kind}"
            yield name, model([node], [("X", 1, 4)], [("L", 7 if i % 2 else 8), ("probabilities", 1)]), table(rng)
            if i % 2:
                yield name + "_label", model([node], [("X", 1, 4)], [("L", 7)]), table(rng)


def five(rng):
    """Version 5: leaves apart from nodes, sets of members. The runtime compares what it asks for members as whole numbers only."""
    for k, kind in enumerate((np.float32, np.float64)):
        as_tensor = lambda v, t=kind: numpy_helper.from_array(np.array(v, dtype=t))
        node = helper.make_node(
            "TreeEnsemble", ["X"], ["Y"], domain=ML, n_targets=2, aggregate_function=k, post_transform=2 * k, tree_roots=[0, 2, 3],
            nodes_featureids=[0, 1, 2, 3, 0], nodes_modes=numpy_helper.from_array(np.array([0, 6, 3, 6, 1], dtype=np.uint8)),
            nodes_splits=as_tensor([0.5, 0, -0.5, 0, 1]), nodes_truenodeids=[1, 0, 2, 4, 5], nodes_falsenodeids=[3, 1, 4, 0, 6],
            nodes_trueleafs=[0, 1, 1, 0, 1], nodes_falseleafs=[1, 1, 1, 1, 1], nodes_missing_value_tracks_true=[1, 0, 1, 1, 0],
            leaf_targetids=[0, 1, 0, 1, 1, 0, 1], leaf_weights=as_tensor([0.1, 0.2, 0.3, -0.4, 0.5, 1.6, -0.7]),
            membership_values=as_tensor([3, 1, 2, np.nan, 1, 5]))
        x = table(rng)
        x[:, [1, 3]] = rng.integers(1, 7, (ROWS, 2))
        yield f"five_{kind.__name__}", model([node], [("X", 1 + 10 * k, 4)], [("Y", 1 + 10 * k)], ml=5, opset=21), x


def encoders(rng):
    words = ["a", "bb", "ü", ""]
    node = lambda op, x, y, **a: helper.make_node(op, [x], [y], domain=ML, **a)
    cast = lambda x, y: helper.make_node("Cast", [x], [y], to=1)
    nodes = [
        node("LabelEncoder", "T", "t1", keys_strings=words[:3], values_floats=[1.5, 2.5, 3.5], default_float=-7.0),
        node("LabelEncoder", "T", "t2i", keys_strings=words[:3], values_int64s=[10, 20, 30]), cast("t2i", "t2"),
        node("LabelEncoder", "T", "t3s", keys_strings=words, values_strings=["x", "y", "z", "x"]),
        node("LabelEncoder", "t3s", "t3", keys_strings=["x", "y"], values_floats=[1.0, 2.0]),
        node("LabelEncoder", "I", "i1", keys_int64s=[0, 2, 3], values_floats=[0.5, 1.5, 2.5], default_float=9.0),
        node("LabelEncoder", "I", "i2s", keys_int64s=[0, 2], values_strings=["bb", "a"]),
        node("LabelEncoder", "i2s", "i2i", keys_strings=["_Unused", "a", "bb"], values_int64s=[1, 2, 3]), cast("i2i", "i2"),
        node("LabelEncoder", "X", "x1", keys_floats=[0.5, 0.0, float("nan"), 2.0], values_floats=[1.0, 2.0, 3.0, 4.0]),
        node("LabelEncoder", "X", "x2i", keys_floats=[0.5, 1.0], values_int64s=[7, 8]), cast("x2i", "x2"),
        node("LabelEncoder", "X", "x3s", keys_floats=[0.5, 1.0], values_strings=["a", "bb"], default_string="ü"),
        node("OneHotEncoder", "x3s", "x3", cats_strings=["a", "ü"]),
        node("OneHotEncoder", "T", "h1", cats_strings=words[:3], zeros=1), node("OneHotEncoder", "I", "h2", cats_int64s=[3, 1, 0]),
        node("OneHotEncoder", "X", "h3", cats_int64s=[0, 1, -1]),
        node("CategoryMapper", "T", "m1i", cats_strings=words, cats_int64s=[3, 5, 0, -2], default_int64=4), cast("m1i", "m1"),
        node("CategoryMapper", "I", "m2s", cats_strings=words, cats_int64s=[3, 5, 0, -2], default_string="bb"),
        node("OneHotEncoder", "m2s", "m2", cats_strings=words),
    ]
    outputs = [(n, 1) for n in ("t1", "t2", "t3", "i1", "i2", "x1", "x2", "x3", "h1", "h2", "h3", "m1", "m2")]
    x = np.column_stack([rng.integers(0, 5, ROWS), rng.integers(0, 5, ROWS), table(rng, 1)[:, 0]])
    x[rng.random(ROWS) < 0.2, 0] = np.nan
    x[:, 2][np.isinf(x[:, 2])] = 0.5
    inputs = [("T", 8, 1), ("I", 7, 1), ("X", 1, 1)]
    texts = {"T": [*words, "new"]}
    yield "encoders", model(nodes, inputs, outputs), x, texts
    nodes[7].attribute.append(helper.make_attribute("default_float", -1.0))
    four = [node("LabelEncoder", "X", "d1", keys_tensor=numpy_helper.from_array(np.array([0.5, np.nan, 1.0], np.float32)),
                 values_tensor=numpy_helper.from_array(np.array([1, 2, 3], np.int64)),
                 default_tensor=numpy_helper.from_array(np.array([-5], np.int64))), cast("d1", "d2")]
    yield "encoders_4", model(nodes + four, inputs, [*outputs, ("d2", 1)], ml=4), x, texts
    one = [node("LabelEncoder", "T", "a1", classes_strings=words, default_int64=-4), cast("a1", "a2"),
           node("LabelEncoder", "I", "b1", classes_strings=words, default_string="q"), node("OneHotEncoder", "b1", "b2", cats_strings=["q", "ü", "a"])]
    yield "encoders_1", model(one, inputs[:2], [("a2", 1), ("b2", 1)], ml=1), x[:, :2], texts


def scalers(rng):
    node = lambda op, x, y, **a: helper.make_node(op, x, [y], domain=ML, **a)
    nodes = [
        node("Scaler", ["X"], "s1", offset=[0.1, 0.2, 0.3, 0.4], scale=[3.3, 0.7, 1.1, 2.0]), node("Scaler", ["X"], "s2", offset=[0.1], scale=[0.3]),
        node("Scaler", ["I"], "s3", offset=[0.1], scale=[0.3]),
        node("Imputer", ["X"], "p1", imputed_value_floats=[9.0, 8.0, 7.0, 6.0], replaced_value_float=float("nan")),
        node("Imputer", ["X"], "p2", imputed_value_floats=[9.5], replaced_value_float=0.5),
        node("Imputer", ["I"], "p3i", imputed_value_int64s=[40, 50], replaced_value_int64=2), helper.make_node("Cast", ["p3i"], ["p3"], to=1),
        node("Binarizer", ["p1"], "b1", threshold=0.5),
        *[node("Normalizer", ["X"], f"n{k}", norm=k) for k in ("MAX", "L1", "L2")],
        node("FeatureVectorizer", ["X", "s3"], "v1", inputdimensions=[3, 4]),
        node("ArrayFeatureExtractor", ["X", "at"], "a1"),
        helper.make_node("LpNormalization", ["X"], ["l1"], p=1, axis=1), helper.make_node("LpNormalization", ["X"], ["l2"], p=2),
    ]
    outputs = [(n, 1) for n in ("s1", "s2", "s3", "p1", "p2", "p3", "b1", "nMAX", "nL1", "nL2", "v1", "a1", "l1", "l2")]
    x = np.column_stack([table(rng), rng.integers(0, 5, (ROWS, 2))])
    yield "scalers", model(nodes, [("X", 1, 4), ("I", 7, 2)], outputs, [("at", np.array([3, 0, 0]))]), x


def arithmetic(rng):
    op = helper.make_node
    nodes, outputs = [], []

    def out(name, *args, **attributes):
        y = f"y{len(outputs)}"
        nodes.append(op(name, list(args), [y], **attributes))
        outputs.append((y, 1))

    for name in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        out(name, "X", "row")
        out(name, "X", "Z")
    for name in ("Abs", "Neg", "Sqrt", "Sigmoid", "Tanh", "Relu", "Reciprocal"):
        out(name, "X")
    out("Sum", "X", "row", "Z")
    out("Pow", "X", "two")
    out("Pow", "X", "three")
    out("Clip", "X", "low", "high")
    out("Clip", "X", "", "high")
    for i, name in enumerate(("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual")):
        nodes.append(op(name, ["X", "row"], [f"c{i}"]))
        out("Where", f"c{i}", "X", "row")
    nodes += [op("IsNaN", ["X"], ["nan"]), op("Not", ["c1"], ["not"]), op("And", ["not", "nan"], ["and"]), op("Or", ["and", "c0"], ["or"]),
              op("Cast", ["X"], ["whole"], to=7), op("Add", ["whole", "five"], ["more"]), op("Cast", ["X"], ["wide"], to=11),
              op("Mul", ["wide", "wide"], ["square"])]
    nodes.append(op("ArgMin", ["Z"], ["lowest"], axis=1, keepdims=1))
    for name in ("or", "nan", "more", "square", "lowest"):
        out("Cast", name, to=1)
    constants = [("row", np.array([0.5, 1, 0, -3], np.float32)), ("two", np.float32(2)), ("three", np.float32(3)), ("low", np.float32(-0.5)),
                 ("high", np.float32(1.5)), ("five", np.array([5], np.int64))]
    inputs = [("X", 1, 4), ("Z", 1, 4)]
    yield "arithmetic", model(nodes, inputs, outputs, constants), np.column_stack([table(rng), table(rng)])
    nodes, outputs = [], []
    out("Exp", "X")
    out("Log", "Z")
    out("Softmax", "X")
    out("Softmax", "X", axis=1)
    out("Pow", "Z", "half")
    out("MatMul", "X", "w")
    out("Gemm", "X", "w", "b")
    out("Gemm", "X", "wt", "b", transB=1)
    out("ReduceSum", "X", "one", keepdims=0)
    out("ReduceMean", "X", "one")
    for name in ("ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"):
        out(name, "X", "one")
    nodes.append(op("MatMul", ["X", "list"], ["line"]))
    out("Unsqueeze", "line", "one")
    w = rng.normal(size=(4, 3)).astype(np.float32)
    constants = [("half", np.float32(-1.5)), ("w", w), ("wt", w.T.copy()), ("b", np.array([1, 2, 3], np.float32)), ("list", w[:, 0].copy()), ("one", np.array([1], np.int64))]
    x = np.column_stack([table(rng, special=False), np.abs(table(rng, special=False)) + 0.25])
    yield "approximate", model(nodes, inputs, outputs, constants), x


def shapes(rng):
    op = helper.make_node
    nodes = [
        op("Reshape", ["X", "flat"], ["r1"]), op("Reshape", ["r1", "table"], ["r2"]), op("Unsqueeze", ["X", "axis1"], ["u1"]), op("Squeeze", ["u1", "axis1"], ["q1"]),
        op("Transpose", ["u1"], ["t1"], perm=[0, 2, 1]), op("Flatten", ["t1"], ["f1"]), op("Slice", ["X", "s0", "s1", "axis1", "s2"], ["l1"]),
        op("Split", ["X", "parts"], ["p1", "p2"], axis=1), op("Gather", ["X", "places"], ["g1"], axis=1), op("Gather", ["X", "place"], ["g2"], axis=1),
        op("Unsqueeze", ["g2", "axis1"], ["g3"]), op("Concat", ["p2", "g3", "X"], ["k1"], axis=-1), op("Shape", ["X"], ["shape"]),
        op("Gather", ["shape", "zero"], ["rows"]), op("Concat", ["rows", "two"], ["sized"], axis=0), op("ConstantOfShape", ["sized"], ["c1"], value=helper.make_tensor("v", 1, [1], [2.5])),
        op("Expand", ["one", "sized"], ["e1"]), op("ArgMax", ["X"], ["m1i"], axis=1, keepdims=1), op("Cast", ["m1i"], ["m1"], to=1),
        op("Constant", [], ["k"], value_floats=[4.0, 5.0]), op("Add", ["c1", "k"], ["a1"]), op("ReduceMax", ["X", "axis1"], ["x1"]), op("ReduceMin", ["X", "axis1"], ["x2"]),
        op("Reshape", ["X", "lead"], ["d1"]), op("Concat", ["d1", "d1"], ["d2"], axis=0), op("ReduceSum", ["d2", "axis0"], ["d3"], keepdims=0), op("Identity", ["d3"], ["d4"]),
    ]
    constants = [(n, np.array(v, np.int64)) for n, v in (("flat", [-1, 4, 1]), ("table", [0, -1]), ("axis1", [1]), ("axis0", [0]), ("s0", [-1]), ("s1", [-5]), ("s2", [-2]), ("parts", [1, 3]),
                                                         ("places", [2, -1, 0]), ("place", 1), ("zero", [0]), ("two", [2]), ("lead", [1, -1, 4]))]
    constants.append(("one", np.array([[1.25]], np.float32)))
    outputs = [(n, 1) for n in ("r2", "q1", "f1", "l1", "p1", "g1", "k1", "e1", "m1", "a1", "x1", "x2", "d4")]
    yield "shapes", model(nodes, [("X", 1, 4)], outputs, constants), table(rng, special=False)
    old = [
        op("Squeeze", ["u"], ["q"], axes=[1]), op("Unsqueeze", ["X"], ["u"], axes=[1]), op("Slice", ["X"], ["l"], starts=[1], ends=[3], axes=[1]),
        op("Split", ["X"], ["p1", "p2"], axis=1, split=[3, 1]), op("Clip", ["X"], ["c"], min=-0.5, max=1.0), op("ReduceSum", ["X"], ["s"], axes=[1], keepdims=1),
        op("Softmax", ["X"], ["m"]),
    ]
    old = [old[1], old[0], *old[2:]]
    yield "shapes_9", model(old, [("X", 1, 4)], [(n, 1) for n in ("q", "l", "p2", "c", "s", "m")], ml=1, opset=9), table(rng, special=False)


def cases():
    rng = np.random.default_rng(11)
    allowed = {"approximate": 4, "shapes_9": 4}
    for make in (ensembles, classifiers, five, encoders, scalers, arithmetic, shapes):
        for name, graph, x, *texts in make(rng):
            yield {"model": name, "onnx": graph, "x": x, "texts": texts[0] if texts else {}, "ulps": allowed.get(name, 0)}
