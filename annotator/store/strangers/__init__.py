"""Groups of tracks that show one person, whoever that is: how they are kept, made, decided on and listed."""
