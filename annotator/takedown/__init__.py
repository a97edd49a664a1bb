"""What is known of a person goes: from the database, from models, from work directories and caches."""
