"""Backlogs in rows: listing a source, registering what it lists, coming to an end."""
