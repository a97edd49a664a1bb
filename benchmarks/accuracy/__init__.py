"""How sure names are, measured on clips that are drawn with known truth, and on real ones: ``make accuracy``."""
