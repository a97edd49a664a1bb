"""Labels of a whole archive from stored embeddings: what is read, what is written, and the run that does it."""
