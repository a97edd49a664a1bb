"""The networks that can be trained, in Keras on TensorFlow. Modules of this package import Keras."""
