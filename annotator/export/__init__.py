"""What was found, for other programs: JSON Lines, CSV, Parquet, WebVTT, and the answers of three cloud services.

Begin with :mod:`annotator.export.streaming`, which is all that a program needs.
"""
