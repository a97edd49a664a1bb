"""From a folder of photographs to a model: check the data, cut the faces out, train, evaluate, export.

The trainer stands on ``annotator`` and does not know ``workers``. Only fitting and what runs a fitted network needs
TensorFlow (`pip install 'celebrity-annotator[train]'`); the data side runs on the engines of ``annotator.runtime``.
"""

# Before TensorFlow, which some modules of this package import: `annotator.runtime.tensorflow_engine` says why.
import psycopg2  # noqa: F401
