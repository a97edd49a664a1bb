"""Families of contents that show one clip, as rows."""
