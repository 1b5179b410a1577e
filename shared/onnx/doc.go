// Package onnx scores ONNX models of tables: what skl2onnx and onnxmltools make of scikit-learn pipelines, LightGBM and
// XGBoost. It reads the operators of ai.onnx.ml but the support vector machines, DictVectorizer and CastMap, and those of
// ai.onnx that such pipelines contain. A graph with another operator is refused with its name, domain and node.
//
// A graph is compiled to steps over blocks of rows. Every value of it is a small tensor for each row, or a constant, which is
// computed once; what mixes rows is refused. It is not for images, texts as such, or training.
//
// # Inputs and outputs
//
// An input is rows of one column, or of several. Inputs of one column find the manifest's feature of their name; the columns of
// an input of several take the features in order (Bind). The model's numbers are the output called probabilities or
// output_probability, else all outputs of float or double side by side, else all of whole numbers; what ZipMap makes counts as
// its probabilities. So classifiers give a column for each class, regressors their variable; labels come from the manifest.
// Rows that the runtime would end the call for (an unknown category with zeros = 0, a missing value where it takes none) are
// refused one by one.
//
// # Exactness
//
// The values are those of ONNX Runtime 1.32 on one thread on x86-64, for the same opset. A row's bits do not depend on the
// number of rows or goroutines, nor on the CPU.
//
//   - The same bits: tree ensembles of all versions (sums in the order of the trees, from 0, base values last; LOGISTIC,
//     SOFTMAX, SOFTMAX_ZERO and PROBIT of them), Scaler, Normalizer, Imputer, Binarizer, encoders, arithmetic, comparisons,
//     Sigmoid, Tanh, Sqrt, all that moves elements.
//   - The same bits as for two or more rows: LinearRegressor, LinearClassifier, Gemm, MatMul. The runtime adds up one row in
//     another order than several, so it differs from itself; its order for several rows is taken: one fused step a column.
//   - Within 4 units in the last place: Exp, Log, Pow, Softmax and the SOFTMAX of a LinearClassifier of more than four classes,
//     ReduceSum, ReduceMean and the other sums, whose functions and order in the runtime depend on its build.
//
// The runtime itself depends on more: with several threads it adds up halves of the trees for batches, and for single rows
// from 81 trees on; the SOFTMAX of a LinearClassifier of two to four classes takes another exponential from 16,384 scores on.
// In three places it departs from the standard, and so does this package: version 5's numbers of LOGISTIC and SOFTMAX are
// exchanged, a base value of a target without any leaf counts for nothing, and Clip without a bound takes the type's own. In
// one it is not followed: it takes fractions for members of a set of whole numbers.
package onnx
