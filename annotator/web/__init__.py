"""The web application ``annotator web``: pages and a JSON API over the database. Begin with ``routes.py``."""
