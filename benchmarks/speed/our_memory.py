"""Our work whose memory is told: a process like a worker's, step by step."""

import os
from dataclasses import asdict
from typing import Any, Final

from benchmarks.speed.memory import Parts, memory_mb, parts_mb, watched
from benchmarks.speed.serving import Work, serve


def worker_memory(clips: list[str], **options: Any) -> Work:  # noqa: ANN401 - settings
    """Annotate clips with all loaded that a worker loads, and tell where its memory goes."""
    import annotator.runtime.openvino_engine  # noqa: F401, PLC0415 - what is imported is measured, too
    import workers.boot  # noqa: F401, PLC0415 - as above
    from benchmarks.speed.our_side import Annotating  # noqa: PLC0415 - as above

    imported_mb = memory_mb(os.getpid())
    annotating = Annotating(**options)
    read_mb = memory_mb(os.getpid())
    annotating.run(clips[:1])
    ready_mb = memory_mb(os.getpid())
    largest = Parts()

    def look(pid: int) -> float:
        nonlocal largest
        parts = parts_mb(pid)
        largest = max(largest, parts, key=lambda one: one.total)
        return parts.total

    def run() -> dict[str, Any]:
        with watched(os.getpid(), look) as seen:
            found = annotating.run(clips)
        return {
            **found,
            "imported_mb": imported_mb,
            "read_mb": read_mb,
            "ready_mb": ready_mb,
            "peak_mb": seen.peak_mb,
            **{f"largest_{name}_mb": mb for name, mb in asdict(largest).items()},
        }

    return run


WORKS: Final = {"worker_memory": worker_memory}

if __name__ == "__main__":
    serve(WORKS)
