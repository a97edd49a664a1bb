"""What programs of the queue tell of themselves: logs, metrics, traces."""
