"""Whether a model may take the place of the one that is shown: tried on golden clips and on the whole archive."""
