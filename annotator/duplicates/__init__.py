"""Clips that are one clip: made anew, resized, cropped, captioned, mirrored, at another speed, trimmed."""
