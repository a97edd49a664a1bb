"""What the web application keeps of itself: accounts, sessions, tokens, failed logins, and who did what."""
