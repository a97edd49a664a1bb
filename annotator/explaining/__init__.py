"""Why each track of a media got its label: the faces that count, the nearest people, what would change the answer."""
