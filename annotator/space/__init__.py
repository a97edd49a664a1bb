"""People and faces as points in three dimensions: computed once, kept in a file, shown by ``annotator web``."""
