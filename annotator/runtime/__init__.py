"""One protocol, two engines: OpenVINO on a CPU, TensorFlow (XLA) on a GPU; same outputs.

A network is defined once, in Keras (``annotator.networks``). On a CPU neither Keras nor TensorFlow is imported: the
definition is converted once, in a child process, and the converted network is kept in a cache folder.
"""

from annotator.runtime.factory import Device, create_engine
from annotator.runtime.network import Engine, NetworkDefinition, Precision, Runner, Weights

__all__ = ["Device", "Engine", "NetworkDefinition", "Precision", "Runner", "Weights", "create_engine"]
