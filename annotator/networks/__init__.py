"""The networks: Keras definitions, once for training and for both engines, and the readers of their weights."""
