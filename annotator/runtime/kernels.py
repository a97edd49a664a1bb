"""Which of OpenVINO's kernels for convolutions a network is run with.

OpenVINO has several and takes those that are quickest on Intel's processors. On AMD's with AVX-512 (measured on Zen 4)
its direct convolutions are quicker for most networks, and differ in the last bits only: R-Net in bfloat16 takes 80 % of
the time, O-Net 90 %, SFace 85 %. P-Net, whose layers are narrow, takes longer. AMD's older ones were not measured and
have what OpenVINO chooses. A layer may carry a wish, which only the text of a file can express: Python has no type for
it.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

_DIRECT: Final = {"name": "primitives_priority", "version": "0", "value": "cpu:jit_avx512"}
"""The attribute of a layer that OpenVINO reads. A processor without AVX-512 has no such kernel and gets another."""


def wish_for_direct(graph: Path, output: Path) -> None:
    """Write a graph again with the wish that all of its convolutions are direct ones.

    Args:
        graph: a graph of OpenVINO, ``.xml``, written by this process.
        output: the same with the wish; the weights are those of ``graph``.

    """
    tree = ET.parse(graph)  # noqa: S314 - OpenVINO has just written it
    for layer in tree.iter("layer"):
        if layer.get("type") == "Convolution":  # depthwise ones are another type, and have kernels of their own
            wishes = layer.find("rt_info")
            if wishes is None:
                wishes = ET.Element("rt_info")
                layer.insert(1, wishes)  # behind "data", where OpenVINO writes it
            ET.SubElement(wishes, "attribute", _DIRECT)
    tree.write(output, encoding="utf-8", xml_declaration=True)


def has_quick_direct(device_name: str, capabilities: Collection[str]) -> bool:
    """Tell whether a processor is one of AMD's with AVX-512.

    Args:
        device_name: OpenVINO's full name of it.
        capabilities: what OpenVINO can do on it. All of AMD's that have AVX-512 have its bfloat16, too, and no other.

    """
    return device_name.startswith("AMD") and "BF16" in capabilities
