"""How good a recogniser is, on photographs and clips that it has not seen; and which of two is better."""
