"""``python -m tests.faults.producer_app``: the real ``annotate-backlog`` with doubles of the networks."""

import sys

import annotator.build
from tests.faults.doubles import build_annotator

annotator.build.build_annotator = build_annotator

from workers.backlog import main  # noqa: E402  (after the networks have been replaced)

if __name__ == "__main__":
    sys.exit(main())
