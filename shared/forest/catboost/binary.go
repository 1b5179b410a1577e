package catboost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// isBinary is whether data opens as .cbm.
func isBinary(data []byte) bool { return len(data) >= 4 && string(data[:4]) == "CBM1" }

// The fields of the tables of .cbm by number, from CatBoost's model.fbs and features.fbs.
const (
	coreFormat, coreTrees, coreInfo, coreParts, coreFields = 0, 1, 2, 3, 4

	treesDimension, treesSplits, treesSizes, treesStarts         = 0, 1, 2, 3
	treesCats, treesFloats, treesOneHots, treesCTRs              = 4, 5, 6, 7
	treesLeaves, treesSteps, treesLeafOf, treesTexts             = 8, 10, 11, 12
	treesEstimated, treesScale, treesBias, treesBiases           = 13, 14, 15, 16
	treesRepacked, treesEmbeddings, treesFields                  = 17, 18, 19
	floatNaNs, floatIndex, floatFlat, floatBorders               = 0, 1, 2, 3
	floatName, floatTreatment, floatFields                       = 4, 5, 6
	catIndex, catFlat, catName, catFields                        = 0, 1, 2, 4
	oneHotIndex, oneHotValues, oneHotTexts, oneHotFields         = 0, 1, 2, 3
	infoKey, infoValue, infoFields, format, infoParams, infoLoss = 0, 1, 2, "FlabuffersModel_v1", "params", "loss_function"
)

// readBinary reads .cbm: CBM1, the size of the core, the core, and behind it the parts that are not supported.
func (c *content) readBinary(data []byte) error {
	if len(data) < 8 {
		return errors.New("the file ends in the size of the model")
	}
	size, rest := uint64(binary.LittleEndian.Uint32(data[4:])), data[8:]
	if size == math.MaxUint32 {
		if len(rest) < 8 {
			return errors.New("the file ends in the size of the model")
		}
		size, rest = binary.LittleEndian.Uint64(rest), rest[8:]
	}
	if size < 4 || size > uint64(len(rest)) {
		return fmt.Errorf("a model of %d bytes, the file has %d", size, len(rest))
	}
	core := rest[:size:size]
	f := &flat{data: core, left: len(core)}
	root := f.table(f.u32(0, "model"), coreFields, "model")
	if name := root.text(coreFormat, "format"); f.err == nil && name != format {
		return fmt.Errorf("format %.40q, expected %s", name, format)
	}
	root.each(coreParts, "parts", func(_, at int) { f.fail("%w", part(f, at)) })
	at, ok := root.field(coreTrees, 4)
	if f.err == nil && !ok {
		return errors.New("no trees")
	}
	trees := f.table(at+f.u32(at, "trees"), treesFields, "trees")
	c.readFeatures(trees)
	c.readTrees(trees)
	root.tables(coreInfo, infoFields, "info", func(j int, e table) { c.readInfo(e, fmt.Sprintf("info[%d]", j)) })
	if f.err != nil {
		return f.err
	}
	if extra := uint64(len(rest)) - size; extra > 0 {
		return fmt.Errorf("%d bytes follow the model", extra)
	}
	return nil
}

// part refuses what stands behind the core.
func part(f *flat, at int) error {
	n := f.u32(at, "part")
	if !f.within(at+4, min(n, 64), "part") {
		return f.err
	}
	name := strings.TrimRight(string(f.data[at+4:at+4+min(n, 64)]), "\x00")
	switch {
	case strings.HasPrefix(name, "static_provider"):
		return errCTR
	case strings.HasPrefix(name, "text_process"):
		return errText
	case strings.HasPrefix(name, "embed_process"):
		return errEmbedding
	}
	return fmt.Errorf("the model has a part %.60q, which is not known; this reader knows files of %s", name, releases)
}

func (c *content) readFeatures(t table) {
	for i, err := range map[int]error{treesCTRs: errCTR, treesTexts: errText, treesEstimated: errText, treesEmbeddings: errEmbedding} {
		t.each(i, "features", func(_, _ int) { t.f.fail("%w", err) })
	}
	t.tables(treesFloats, floatFields, "float_features", func(j int, e table) {
		borders, _ := e.vector(floatBorders, 4, fmt.Sprintf("float_features[%d].borders", j))
		c.floats = append(c.floats, floatFeature{
			index: int64(e.int32(floatIndex, -1)), flat: int64(e.int32(floatFlat, -1)), borders: float32s(borders),
			name: e.text(floatName, "feature_id"), hasNaNs: e.byte(floatNaNs) != 0, treatment: int(e.byte(floatTreatment))})
		if n := e.byte(floatTreatment); n > asTrue {
			t.f.fail("float_features[%d]: nan_value_treatment is %d", j, n)
		}
	})
	t.tables(treesCats, catFields, "categorical_features", func(_ int, e table) {
		c.cats = append(c.cats, catFeature{index: int64(e.int32(catIndex, -1)), flat: int64(e.int32(catFlat, -1)), name: e.text(catName, "feature_id")})
	})
	t.tables(treesOneHots, oneHotFields, "one_hot_features", func(j int, e table) {
		values, n := e.vector(oneHotValues, 4, "values")
		o := oneHot{cat: int64(e.int32(oneHotIndex, -1)), values: int32s(values)}
		e.each(oneHotTexts, "string_values", func(_, at int) {
			size := t.f.u32(at, "string_values")
			if size > t.f.left {
				t.f.fail("one_hot_features[%d].string_values: more than the model has room for", j)
			}
			if t.f.within(at+4, size, "string_values") {
				t.f.left -= size
				o.texts = append(o.texts, string(t.f.data[at+4:at+4+size]))
			}
		})
		if len(o.texts) > 0 && len(o.texts) != n {
			t.f.fail("one_hot_features[%d]: %d string_values for %d values", j, len(o.texts), n)
		}
		c.oneHots = append(c.oneHots, o)
	})
}

func (c *content) readTrees(t table) {
	c.dimensions = int(t.int32(treesDimension, 0))
	c.scale = t.float64(treesScale, 1)
	biases, _ := t.vector(treesBiases, 8, "MultiBias")
	c.bias = float64s(biases)
	if bias := t.float64(treesBias, 0); c.bias == nil && bias != 0 {
		c.bias = []float64{bias}
	}
	splits, n := t.vector(treesSplits, 4, "TreeSplits")
	c.splits = int32s(splits)
	sizes, _ := t.vector(treesSizes, 4, "TreeSizes")
	c.sizes = int32s(sizes)
	leaves, _ := t.vector(treesLeaves, 8, "LeafValues")
	c.leaves = float64s(leaves)
	if steps, nodes := t.vector(treesSteps, 4, "NonSymmetricStepNodes"); nodes > 0 {
		c.steps = make([]step, nodes)
		for i := range c.steps {
			c.steps[i] = step{left: binary.LittleEndian.Uint16(steps[4*i:]), right: binary.LittleEndian.Uint16(steps[4*i+2:])}
		}
	}
	leafOf, nodes := t.vector(treesLeafOf, 4, "NonSymmetricNodeIdToLeafId")
	c.leafOf = uint32s(leafOf)
	if (nodes > 0) != (c.steps != nil) {
		t.f.fail("%d NonSymmetricStepNodes and %d NonSymmetricNodeIdToLeafId", len(c.steps), nodes)
	}
	if _, repacked := t.vector(treesRepacked, 4, "RepackedBins"); t.has(treesRepacked) && repacked != n {
		t.f.fail("%d RepackedBins for %d TreeSplits", repacked, n)
	}
	starts, count := t.vector(treesStarts, 4, "TreeStartOffsets")
	if count != len(c.sizes) {
		t.f.fail("%d TreeStartOffsets for %d trees", count, len(c.sizes))
		return
	}
	sum := int32(0)
	for i, start := range int32s(starts) {
		if start != sum {
			t.f.fail("tree %d: TreeStartOffsets is %d, expected %d", i, start, sum)
			return
		}
		sum += c.sizes[i]
	}
}

// readInfo takes the texts about the training that are needed.
func (c *content) readInfo(e table, place string) {
	value := func() []byte {
		data, _ := e.vector(infoValue, 1, place)
		return data
	}
	key, err := e.text(infoKey, place), error(nil)
	switch key {
	case "catboost_version_info":
		c.setRelease(string(value()))
	case infoParams:
		err = c.readParams(value())
	case infoLoss:
		err = c.readLoss(value())
	case "class_params":
		err = c.readClasses(value())
	}
	if err != nil {
		e.f.fail("%s: %w", key, err)
	}
}
