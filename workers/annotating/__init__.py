"""What ``celery -A workers worker`` does with a message: claim, annotate, report."""
