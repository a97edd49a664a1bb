"""The packaged weights of P-, R- and O-Net, written as the original files lay them out."""

from pathlib import Path
from typing import Any

import numpy as np

from annotator.networks.mtcnn import read_packaged_weights

DET_FILES = {"pnet": "det1.npy", "rnet": "det2.npy", "onet": "det3.npy"}

THEIR_NAMES = {
    "pnet": {"boxes": "conv4-2", "scores": "conv4-1", "prelu1": "PReLU1", "prelu2": "PReLU2", "prelu3": "PReLU3"},
    "rnet": {"boxes": "conv5-2", "scores": "conv5-1", "dense4": "conv4"},
    "onet": {"boxes": "conv6-2", "scores": "conv6-1", "landmarks": "conv6-3", "dense5": "conv5"},
}
"""Where the original name of a layer differs from ours."""

THEIR_VARIABLES = {"kernel": "weights", "bias": "biases", "alpha": "alpha"}


def write_det_files(folder: Path) -> None:
    """Write det1.npy, det2.npy and det3.npy: kernels with swapped axes, dense layers flat, one pickled dictionary."""
    for name, file_name in DET_FILES.items():
        layers: dict[str, dict[str, Any]] = {}
        for key, array in read_packaged_weights(name).items():
            layer, variable = key.split("/")
            theirs = array.transpose(1, 0, 2, 3) if array.ndim == 4 else array.reshape(-1)
            if variable == "kernel" and name != "pnet" and not layer.startswith("conv"):
                theirs = theirs.reshape(-1, theirs.shape[-1])
            layers.setdefault(THEIR_NAMES[name].get(layer, layer), {})[THEIR_VARIABLES[variable]] = theirs
        np.save(folder / file_name, np.array(layers, dtype=object), allow_pickle=True)
