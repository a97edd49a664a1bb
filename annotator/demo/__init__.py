"""Clips drawn from public-domain portraits, and the tour that ``annotator demo`` makes with them."""
