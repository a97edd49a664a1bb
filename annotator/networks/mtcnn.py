"""P-Net, R-Net and O-Net, the three networks of the MTCNN cascade, and the readers of their weights.

Paper: Zhang, Zhang, Li, Qiao, «Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks»,
2016. Weights: those of the authors, as the ``mtcnn`` package carries them (MIT); the files ``det1.npy``, ``det2.npy``
and ``det3.npy`` of ``davidsandberg/facenet`` (MIT) hold the same numbers. All three networks take RGB in 0-255 and
subtract 127.5 and divide by 128 themselves.
"""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from annotator.errors import ModelError
from annotator.networks.weights import checked_bytes, load_object_npy, packaged_file, unpickle_arrays
from annotator.runtime.network import NetworkDefinition
from annotator.types import F32

if TYPE_CHECKING:
    import keras

PACKAGE: Final = "mtcnn"

PNET_WINDOW_PX: Final = 12
"""Side of the window that P-Net looks at."""

PNET_STRIDE_PX: Final = 2
"""Distance of neighbouring windows."""

RNET_SIDE_PX: Final = 24
ONET_SIDE_PX: Final = 48

_PACKAGED: Final[Mapping[str, tuple[str, str]]] = {
    "pnet": (
        "assets/weights/pnet.lz4",
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    ),
    "rnet": (
        "assets/weights/rnet.lz4",
        "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    ),
    "onet": (
        "assets/weights/onet.lz4",
        "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
    ),
}
"""For each network the file in the package and its sha256."""

_Layers = tuple[tuple[str, str, tuple[int, ...]], ...]

_LAYERS: Final[Mapping[str, _Layers]] = {
    "pnet": (
        ("conv1", "conv1", (3, 3, 3, 10)),
        ("prelu1", "PReLU1", (1, 1, 10)),
        ("conv2", "conv2", (3, 3, 10, 16)),
        ("prelu2", "PReLU2", (1, 1, 16)),
        ("conv3", "conv3", (3, 3, 16, 32)),
        ("prelu3", "PReLU3", (1, 1, 32)),
        ("boxes", "conv4-2", (1, 1, 32, 4)),
        ("scores", "conv4-1", (1, 1, 32, 2)),
    ),
    "rnet": (
        ("conv1", "conv1", (3, 3, 3, 28)),
        ("prelu1", "prelu1", (1, 1, 28)),
        ("conv2", "conv2", (3, 3, 28, 48)),
        ("prelu2", "prelu2", (1, 1, 48)),
        ("conv3", "conv3", (2, 2, 48, 64)),
        ("prelu3", "prelu3", (1, 1, 64)),
        ("dense4", "conv4", (3, 3, 64, 128)),
        ("prelu4", "prelu4", (1, 1, 128)),
        ("boxes", "conv5-2", (1, 1, 128, 4)),
        ("scores", "conv5-1", (1, 1, 128, 2)),
    ),
    "onet": (
        ("conv1", "conv1", (3, 3, 3, 32)),
        ("prelu1", "prelu1", (1, 1, 32)),
        ("conv2", "conv2", (3, 3, 32, 64)),
        ("prelu2", "prelu2", (1, 1, 64)),
        ("conv3", "conv3", (3, 3, 64, 64)),
        ("prelu3", "prelu3", (1, 1, 64)),
        ("conv4", "conv4", (2, 2, 64, 128)),
        ("prelu4", "prelu4", (1, 1, 128)),
        ("dense5", "conv5", (3, 3, 128, 256)),
        ("prelu5", "prelu5", (1, 1, 256)),
        ("boxes", "conv6-2", (1, 1, 256, 4)),
        ("landmarks", "conv6-3", (1, 1, 256, 10)),
        ("scores", "conv6-1", (1, 1, 256, 2)),
    ),
}
"""For each network, in the order of the packaged arrays: layer, its name in ``det*.npy``, shape of kernel or slope."""

_DET_FILES: Final[Mapping[str, str]] = {"pnet": "det1.npy", "rnet": "det2.npy", "onet": "det3.npy"}


def build_pnet() -> "keras.Model":
    """Return P-Net, its weights not set.

    Input f32 (N, H, W, 3), RGB in 0-255. Output (N, h, w, 5), for each window of 12 x 12 px at every second pixel:
    offsets of the box's edges in parts of its side, and the logit of its score. One layer gives both, and the softmax
    over «no face» and «face» is left to whoever needs a score: the two took a third of the network's time on a CPU.
    """
    layers, inputs, x = _start((None, None, 3))
    x = _convolution(x, 1, 10, 3)
    x = layers.MaxPooling2D(2, 2, padding="same", name="pool1")(x)
    x = _convolution(x, 2, 16, 3)
    x = _convolution(x, 3, 32, 3)
    return _model(inputs, [layers.Conv2D(5, 1, name="windows")(x)], "pnet")


def build_rnet() -> "keras.Model":
    """Return R-Net, its weights not set.

    Input f32 (N, 24, 24, 3), RGB in 0-255. Outputs: offsets of the box's edges in parts of its sides (N, 4), and the
    scores of «no face» and «face» (N, 2).
    """
    layers, inputs, x = _start((RNET_SIDE_PX, RNET_SIDE_PX, 3))
    x = _convolution(x, 1, 28, 3)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = _convolution(x, 2, 48, 3)
    x = layers.MaxPooling2D(3, 2, padding="valid", name="pool2")(x)
    x = _convolution(x, 3, 64, 2)
    x = _convolution(x, 4, 128, 3, prefix="dense")
    return _model(inputs, _heads(x, {"boxes": 4, "scores": 2}), "rnet")


def build_onet() -> "keras.Model":
    """Return O-Net, its weights not set.

    Input f32 (N, 48, 48, 3), RGB in 0-255. Outputs: offsets of the box's edges in parts of its sides (N, 4), the five
    landmarks in parts of the box's sides, first the five x, then the five y (N, 10), and the scores of «no face» and
    «face» (N, 2).
    """
    layers, inputs, x = _start((ONET_SIDE_PX, ONET_SIDE_PX, 3))
    x = _convolution(x, 1, 32, 3)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = _convolution(x, 2, 64, 3)
    x = layers.MaxPooling2D(3, 2, padding="valid", name="pool2")(x)
    x = _convolution(x, 3, 64, 3)
    x = layers.MaxPooling2D(2, 2, padding="same", name="pool3")(x)
    x = _convolution(x, 4, 128, 2)
    x = _convolution(x, 5, 256, 3, prefix="dense")
    return _model(inputs, _heads(x, {"boxes": 4, "landmarks": 10, "scores": 2}), "onet")


def mtcnn_networks(weights_dir: Path | None = None) -> dict[str, NetworkDefinition]:
    """Return the three networks by name: ``"pnet"``, ``"rnet"``, ``"onet"``.

    Args:
        weights_dir: folder with ``det1.npy``, ``det2.npy`` and ``det3.npy``; by default the weights that the package
            ``mtcnn`` carries.

    Raises:
        ConfigError: a file is not there.

    """
    shapes = {"pnet": (None, None, 3), "rnet": (RNET_SIDE_PX,) * 2 + (3,), "onet": (ONET_SIDE_PX,) * 2 + (3,)}
    networks = {}
    for name, shape in shapes.items():
        load, digest = _packaged(name) if weights_dir is None else _of_folder(name, weights_dir)
        if name == "pnet":
            load = partial(_with_one_head, load)
        build = f"{__name__}:build_{name}"
        networks[name] = NetworkDefinition(name, build, load, digest, shape, direct_on_amd=name != "pnet")
    return networks


def read_packaged_weights(name: str) -> dict[str, F32]:
    """Read the weights of one network from the ``mtcnn`` package.

    Args:
        name: ``"pnet"``, ``"rnet"`` or ``"onet"``.

    Returns:
        Arrays by ``layer/variable``, in Keras's axis order.

    Raises:
        ConfigError: the package is not there.
        ModelError: the file is not the one that is known.

    """
    import lz4.frame  # noqa: PLC0415 - only needed when the network is converted, once

    path, digest = _PACKAGED[name]
    packed = checked_bytes(packaged_file(PACKAGE, path), digest)
    arrays = iter(unpickle_arrays(lz4.frame.decompress(packed)))
    weights: dict[str, F32] = {}
    for layer, _, shape in _LAYERS[name]:
        for variable in _variables(layer):
            weights[f"{layer}/{variable}"] = _shaped(next(arrays), layer, variable, shape)
    return weights


def read_det_weights(name: str, folder: Path) -> dict[str, F32]:
    """Read the weights of one network from ``det1.npy``, ``det2.npy`` or ``det3.npy``.

    These files are made for pictures whose axes are swapped: every kernel is turned over.

    Args:
        name: ``"pnet"``, ``"rnet"`` or ``"onet"``.
        folder: where the file lies.

    Returns:
        Arrays by ``layer/variable``, in Keras's axis order.

    Raises:
        ConfigError: the file is not there.
        ModelError: it holds something else.

    """
    path = folder / _DET_FILES[name]
    held = load_object_npy(checked_bytes(path))
    weights: dict[str, F32] = {}
    try:
        for layer, theirs, shape in _LAYERS[name]:
            for variable, key in _variables(layer).items():
                array = np.asarray(held[theirs][key], np.float32)
                if array.ndim == 4:  # a dense layer is turned over below, as the packaged one is
                    array = array.transpose(1, 0, 2, 3)
                weights[f"{layer}/{variable}"] = _shaped(array, layer, variable, shape)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"{path} does not hold the weights of {name}: {error}") from error
    return weights


def _packaged(name: str) -> tuple[Callable[[], dict[str, F32]], str]:
    return partial(read_packaged_weights, name), _PACKAGED[name][1]


def _of_folder(name: str, folder: Path) -> tuple[Callable[[], dict[str, F32]], str]:
    content = checked_bytes(folder / _DET_FILES[name])
    return partial(read_det_weights, name, folder), sha256(content).hexdigest()


def _with_one_head(load: Callable[[], dict[str, F32]]) -> dict[str, F32]:
    """Join P-Net's layers for boxes and scores: the logit of a score is the difference of the two of its softmax."""
    weights = load()
    for variable in ("kernel", "bias"):
        boxes, scores = weights.pop(f"boxes/{variable}"), weights.pop(f"scores/{variable}")
        weights[f"windows/{variable}"] = np.concatenate([boxes, scores[..., 1:] - scores[..., :1]], axis=-1)
    return weights


def _variables(layer: str) -> dict[str, str]:
    """Return Keras's names of a layer's variables, and those of ``det*.npy``."""
    return {"alpha": "alpha"} if layer.startswith("prelu") else {"kernel": "weights", "bias": "biases"}


def _shaped(array: F32, layer: str, variable: str, shape: tuple[int, ...]) -> F32:
    """Give an array the shape that its variable has in the definition."""
    if variable == "bias":
        return np.ascontiguousarray(array.reshape(shape[-1:]), np.float32)
    shaped = array.reshape(shape)
    if layer.startswith("dense"):  # the flattened map that these rows weigh has the width first
        shaped = shaped.transpose(1, 0, 2, 3)
    return np.ascontiguousarray(shaped, np.float32)


def _start(shape: tuple[int | None, ...]) -> tuple[Any, Any, Any]:
    import keras  # noqa: PLC0415 - a process that only runs the networks never imports Keras

    inputs = keras.Input(shape, name="pictures")
    return keras.layers, inputs, keras.layers.Rescaling(1 / 128, offset=-127.5 / 128, name="rescale")(inputs)


def _convolution(x: Any, number: int, width: int, side: int, *, prefix: str = "conv") -> Any:  # noqa: ANN401 - Keras's symbolic tensors have no type
    import keras  # noqa: PLC0415 - as above

    x = keras.layers.Conv2D(width, side, name=f"{prefix}{number}")(x)
    return keras.layers.PReLU(shared_axes=[1, 2], name=f"prelu{number}")(x)


def _heads(x: Any, widths: Mapping[str, int]) -> list[Any]:  # noqa: ANN401 - as above
    """Return the outputs over a 1 x 1 map. Convolutions, as a Flatten would fix the batch size when exported."""
    import keras  # noqa: PLC0415 - as above

    layers = keras.layers
    heads = [layers.Conv2D(width, 1, name=name)(x) for name, width in widths.items()]
    flat = [layers.GlobalAveragePooling2D(name=f"{name}_flat")(head) for name, head in zip(widths, heads, strict=True)]
    return [*flat[:-1], layers.Softmax(name="scores_softmax")(flat[-1])]


def _model(inputs: Any, outputs: list[Any], name: str) -> "keras.Model":  # noqa: ANN401 - as above
    import keras  # noqa: PLC0415 - as above

    return keras.Model(inputs, outputs, name=name)
