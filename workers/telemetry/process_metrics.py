"""What the metrics of every program of ours have: a registry of their own, the process, and call-backs."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics


class ProcessMetrics:
    """The metrics of one process. Thread-safe.

    Attributes:
        registry: holds them all; nothing is registered in that of the library.

    """

    def __init__(self) -> None:
        """Register what beat and workers share."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        # Beat delivers them, or a worker that has time for it.
        self._callbacks = self._counter("annotator_callbacks", "Call-backs by what came of a try.", "result")
        for result in ("delivered", "retried", "given_up"):
            self._callbacks.labels(result)

    def called_back(self, result: str) -> None:
        """Count a try to deliver a call-back: ``delivered``, ``retried`` or ``given_up``."""
        self._callbacks.labels(result).inc()

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, help_text, labels, registry=self.registry, buckets=buckets)
