"""What the processes have in common that `annotator web` starts for one thing each: lines of JSON, and how they end."""

import json
import os
import sys
import threading
from collections.abc import Mapping


def tell(line: Mapping[str, object]) -> None:
    """Write a line for whoever has started this process."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def end_with_whoever_asks() -> None:
    """Let this process end when its standard input is closed: who has started it is gone."""
    threading.Thread(target=_end_at_end_of_input, name="listening", daemon=True).start()


def _end_at_end_of_input() -> None:
    sys.stdin.read()
    os._exit(0)
