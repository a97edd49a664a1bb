"""Fitting: from an experiment and its crops to a network; ``fit.py`` is the way in, docs/fitting.md the manual.

Only ``beginning``, ``board``, ``losses``, ``run``, ``step`` and ``weights`` import TensorFlow; to read an
experiment and its crops needs none.
"""
