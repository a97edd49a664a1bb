"""A local stack of real servers from wheels: PostgreSQL, a Redis-protocol broker, an S3 endpoint and one worker."""
