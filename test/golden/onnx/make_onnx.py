"""Writes the golden files of the ONNX engine: models as skl2onnx and onnxmltools convert them, with the outputs of ONNX Runtime.

    PYTHONHASHSEED=0 OMP_NUM_THREADS=1 python3 test/golden/onnx/make_onnx.py shared/onnx/testdata

needs numpy, pandas, scikit-learn, lightgbm, xgboost, onnx, skl2onnx, onnxmltools and onnxruntime (the versions that made the
files in the repository are in index.json). For each case it writes <model>.onnx, <model>.x.f64 with the engine's matrix
(row-major little-endian float64, NaN = missing, a text as its place in the case's texts) and <model>.y.f64 with what ONNX
Runtime gives on one thread, a row at a time (batch.f64 beside it where all rows at once give other bits).
"""

import json
import os
import sys
import warnings

import numpy as np
import onnxruntime

import nodes
import pipelines

warnings.filterwarnings("ignore")


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Without fusions: what is measured is each operator by itself.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
         "tensor(bool)": bool, "tensor(string)": object}


def feed(inputs, x, texts):
    """The matrix as the graph's inputs: one column each, or all columns as one tensor."""
    out, at = {}, 0
    for i in inputs:
        width = i.shape[1]
        block = x[:, at:at + width]
        if i.type == "tensor(string)":
            cells = [[("" if np.isnan(v) else texts[i.name][int(v)]) for v in row] for row in block]
            out[i.name] = np.array(cells, dtype=object).reshape(len(x), width)
        else:
            out[i.name] = block.astype(TYPES[i.type]) if len(i.shape) > 1 else block[:, 0].astype(TYPES[i.type])
        at += width
    return out


def scores(result, outputs):
    """The model's numbers: probabilities if an output is called so, else all of float or double, else all whole ones."""
    names = [o.name for o in outputs]
    chosen = [r for r, n in zip(result, names) if n in ("probabilities", "output_probability")]
    for types in (("float", "double", "seq"), ("int64", "int32", "bool")):
        chosen = chosen or [r for r, o in zip(result, outputs) if o.type.replace("tensor(", "").startswith(types)]
    tables = [np.array([list(row.values()) for row in r]) if isinstance(r, list) else np.asarray(r) for r in chosen]
    return np.column_stack([t.reshape(t.shape[0], -1) for t in tables]).astype(np.float64)


def write(folder, index, case):
    path = f"{folder}/{case['model']}.onnx"
    case["onnx"].graph.name = case["model"]  # the converter's is another each time
    with open(path, "wb") as out:
        out.write(case["onnx"].SerializeToString())
    s = session(path)
    texts = case.get("texts", {})
    x = np.asarray(case["x"], dtype=np.float64)
    run = lambda rows: scores(s.run(None, feed(s.get_inputs(), rows, texts)), s.get_outputs())
    rows = np.concatenate([run(x[i:i + 1]) for i in range(len(x))])
    batch = run(x)
    x.astype("<f8").tofile(f"{folder}/{case['model']}.x.f64")
    rows.astype("<f8").tofile(f"{folder}/{case['model']}.y.f64")
    same = np.array_equal(rows, batch, equal_nan=True)
    if not same:
        batch.astype("<f8").tofile(f"{folder}/{case['model']}.batch.f64")
    index.append({"model": case["model"], "rows": len(x), "cols": x.shape[1], "outputs": rows.shape[1], "texts": texts,
                  "batch": not same, "ulps": case.get("ulps", 0)})


def main(out):
    folder = f"{out}/ort-{onnxruntime.__version__}"
    os.makedirs(folder, exist_ok=True)
    index = []
    for case in [*pipelines.cases(), *nodes.cases()]:
        write(folder, index, case)
    with open(f"{folder}/index.json", "w", encoding="utf-8") as f:
        lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in index)
        f.write(f'{{"versions": {json.dumps(pipelines.versions())}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(sys.argv[1])
