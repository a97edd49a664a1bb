"""People who must not be known any more: what a database holds of them goes, and tombstones keep them away."""
