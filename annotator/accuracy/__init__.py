"""How sure names are, measured: clips drawn with known truth, and what the annotator says of them."""
