"""The queue's rows: chunks, claims, counts, what is to be told. docs/queue.md tells the protocol."""
