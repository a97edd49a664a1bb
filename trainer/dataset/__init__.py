"""From whole photographs to the faces that are trained on, and the split that keeps evaluation honest."""
