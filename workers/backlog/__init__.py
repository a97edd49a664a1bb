"""``annotate-backlog``: list a bucket, register what lies in it, and exit; workers do the rest."""

from workers.backlog.command import main

__all__ = ["main"]
