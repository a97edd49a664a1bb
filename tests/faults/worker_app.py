"""``celery -A tests.faults.worker_app``: the real application with doubles of the networks.

FAULTS_HALTS names the folder of the points at which it waits; see ``tests.faults.doubles.Halts``.
"""

import os
from functools import partial
from pathlib import Path

import annotator.build
from tests.faults.doubles import Halts, build_annotator

annotator.build.build_annotator = partial(build_annotator, halts=Halts(Path(os.environ["FAULTS_HALTS"])))

from workers.celery import app  # noqa: E402  (after the networks have been replaced)

__all__ = ["app"]
