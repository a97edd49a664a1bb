"""Retraining: from new photographs to a promoted model, one step after the other, with a gate at the end."""
