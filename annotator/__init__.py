"""Who is in a GIF or a video, when, and how sure that is.

The library knows nothing of Celery and of training; ``workers`` and ``trainer`` stand on it.
"""

__version__ = "0.1.0"
