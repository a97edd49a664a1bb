"""The store: what was found, kept in SQLite or Postgres."""
