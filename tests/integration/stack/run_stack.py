"""Run a local stack without a worker in FOLDER, with the web application where ``web`` is said after it.

It tells its processes and URLs, then waits for a signal.
"""

import json
import sys
from pathlib import Path
from typing import Self

from annotator.settings import load_settings
from annotator.stack.local import LocalStack, StackUrls, run_local_stack

running: list[LocalStack] = []


class WatchedStack(LocalStack):
    def __enter__(self) -> Self:
        running.append(self)
        return super().__enter__()


def tell(urls: StackUrls) -> None:
    pids = [service.child.pid for service in running[0]._children]
    told = {"pids": pids, "environment": dict(urls.environment), "web_address_file": str(urls.web_address_file)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    from annotator.stack import local

    local.LocalStack = WatchedStack
    with_web = sys.argv[2:] == ["web"]
    run_local_stack(load_settings(), on_ready=tell, data_dir=Path(sys.argv[1]), with_worker=False, with_web=with_web)
