"""Conversions of pictures."""

import numpy as np
import torch
from torch import Tensor


def to_tensor(picture: np.ndarray) -> Tensor:
    """Return a float picture (H, W, C) as a tensor (C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
