"""``trainer export``: a fitted experiment becomes a model bundle that the annotator and the workers run."""
