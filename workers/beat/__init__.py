"""What ``celery -A workers beat`` does: feeding, sweeping, counting, call-backs."""
