"""What is worth a person's look: a queue of uncertain tracks, who has which in hand, and what was decided."""
