"""A first look in low precision: what cannot be a face is not looked at again.

Nine in ten candidates that R-Net sees are no faces, and plainly so. Where the processor computes faster in bfloat16,
the network looks at all of them in it first; those whose score may reach the threshold are looked at again in float32,
and only what that says goes on. So every number that leaves the cascade is one of float32, and the first look can only
lose something where its error is larger than ``MARGIN``.
"""

from typing import Final

from annotator.runtime.network import Engine, NetworkDefinition, Runner

MARGIN: Final = 0.1
"""By how much a score of the first look may lie under the threshold. The largest error that was seen of any score is
0.037 (20,000 candidates of 200 frames)."""


class ScreenedNetwork:
    """One network in two precisions, or in float32 alone where nothing else is faster.

    Attributes:
        exact: in float32.
        rough: in bfloat16 where the engine has it and gains by it, else the same as ``exact``.

    """

    def __init__(self, engine: Engine, network: NetworkDefinition, exact: Runner, *, screen: bool) -> None:
        """Load what the first look needs."""
        self.exact = exact
        rough = engine.load(network, precision="bf16") if screen and engine.batches.rnet_again else exact
        self.rough = rough if rough.precision != exact.precision else exact

    @property
    def is_screened(self) -> bool:
        """Whether there is a first look."""
        return self.rough is not self.exact

    def floor(self, threshold: float) -> float:
        """Return the lowest score of the first look at which an input is looked at again."""
        return max(threshold - MARGIN, 0.0) if self.is_screened else threshold
