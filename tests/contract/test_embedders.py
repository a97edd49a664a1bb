"""Every embedder gives the same on both engines, and has the variables that its weights are checked against."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from annotator.networks.embedders import EmbedderSpec, TrunkName, build_embedder
from annotator.networks.variables import variable_shapes
from annotator.runtime.conversion import converted
from annotator.runtime.network import NetworkDefinition
from annotator.runtime.openvino_engine import OpenvinoEngine
from annotator.types import F32
from tests.optional import import_optional

import_optional("tensorflow")

MIN_COSINE = 0.9999
SIDES_PX: dict[TrunkName, int] = {"resnet50": 32, "resnet50-half": 16, "densenet121": 32, "xception": 71}
SPECS = {name: EmbedderSpec(name, side_px, 24) for name, side_px in SIDES_PX.items()}


def random_weights(spec: EmbedderSpec) -> dict[str, F32]:
    """Weights under which numbers keep their size from layer to layer."""
    random = np.random.default_rng(4)
    weights = {}
    for name, shape in variable_shapes(spec).items():
        values = random.standard_normal(shape)
        if name.endswith(("kernel", "pointwise_kernel")):
            values *= np.sqrt(2 / np.prod(shape[:-1]))
        elif name.endswith(("gamma", "moving_variance")):
            values = 1 + 0.2 * np.abs(values)
        else:
            values *= 0.1
        weights[name] = values.astype(np.float32)
    return weights


def definition_of(name: TrunkName) -> NetworkDefinition:
    return SPECS[name].definition(partial(random_weights, SPECS[name]), weights_digest=name)


@pytest.fixture(scope="module")
def cache_of_embedders(cache_dir: Path) -> Path:
    """A folder with all of them, converted by one child process: to import Keras takes it longer than each of them."""
    folder = cache_dir / "embedders"
    converted([definition_of(name) for name in SPECS], folder)
    return folder


@pytest.mark.slow  # converts and compiles four networks, 24 to 95 MB each
@pytest.mark.parametrize("name", SPECS)
def test_both_engines_give_the_same_embeddings_in_f32(name: TrunkName, cache_of_embedders: Path) -> None:
    from annotator.runtime.tensorflow_engine import TensorflowEngine  # noqa: PLC0415 - it takes seconds

    spec, definition = SPECS[name], definition_of(name)
    faces = np.random.default_rng(1).uniform(0, 255, (2, spec.side_px, spec.side_px, 3)).astype(np.float32)

    (one,) = OpenvinoEngine(threads=1, cache_dir=cache_of_embedders).load(definition)(faces)
    (other,) = TensorflowEngine(device="cpu").load(definition)(faces)

    assert one.shape == other.shape == (2, 24)
    cosines = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosines.min() >= MIN_COSINE
    assert np.abs(one[0] - one[1]).max() > 1e-3 * np.abs(one).max(), "two faces must differ"


@pytest.mark.slow  # builds four networks, twice
@pytest.mark.parametrize("name", SPECS)
def test_the_shapes_that_weights_are_checked_against_are_those_of_the_definition(name: TrunkName) -> None:
    spec = SPECS[name]
    for _ in range(2):  # names must not depend on what else the process has built
        layers = build_embedder(spec.name, spec.side_px, spec.embedding_size).layers
        variables = [(f"{layer.name}/{one.name}", tuple(one.shape)) for layer in layers for one in layer.weights]
        assert len(dict(variables)) == len(variables)
        assert dict(variables) == variable_shapes(spec)


@pytest.mark.slow
def test_xception_is_that_of_keras() -> None:
    import keras  # noqa: PLC0415 - it takes seconds

    from annotator.networks.xception import xception_features  # noqa: PLC0415 - as above

    keras.utils.set_random_seed(2)
    theirs = keras.applications.Xception(include_top=False, weights=None, input_shape=(71, 71, 3))
    faces = keras.Input((71, 71, 3))
    ours = keras.Model(faces, xception_features(faces))
    # Theirs numbers the layers on the shortcuts in the order in which they were made.
    for kind, part in ((keras.layers.Conv2D, "conv"), (keras.layers.BatchNormalization, "bn")):
        numbered = [layer for layer in theirs.layers if type(layer) is kind and not layer.name.startswith("block")]
        numbered.sort(key=lambda layer: int("0" + "".join(re.findall(r"_(\d+)$", layer.name))))
        for number, layer in zip((2, 3, 4, 13), numbered, strict=True):
            ours.get_layer(f"block{number}_shortcut_{part}").set_weights(layer.get_weights())
    for layer in theirs.layers:
        if layer.weights and layer.name.startswith("block"):
            ours.get_layer(layer.name).set_weights(layer.get_weights())
    picture = np.random.default_rng(0).uniform(0, 255, (1, 71, 71, 3)).astype(np.float32)
    expected = np.asarray(theirs(picture / 255))
    np.testing.assert_allclose(np.asarray(ours(picture)), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
