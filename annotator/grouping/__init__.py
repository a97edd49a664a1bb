"""Tracks that show the same person, whoever that is, over a whole archive: without a database."""
