"""``annotate-backlog`` as a program without networks, a small page a transaction: ``producer_app.py NETWORK_ID …``."""

import sys

from annotator.media.s3 import S3Store
from workers.backlog import bucket, command

PAGE_KEYS = 2


class SmallPages(S3Store):
    """Pages of a few keys, so that a small bucket is many of them."""

    def list_page(self, name, prefix, *, after_key, max_keys=1000):  # noqa: ANN001, ANN201 - as of S3Store
        return super().list_page(name, prefix, after_key=after_key, max_keys=min(max_keys, PAGE_KEYS))


if __name__ == "__main__":
    network_id = int(sys.argv[1])
    bucket.PAGES_PER_BATCH = 1
    command.S3Store = SmallPages
    command._network_id = lambda *_: network_id
    sys.exit(command.main(sys.argv[2:]))
