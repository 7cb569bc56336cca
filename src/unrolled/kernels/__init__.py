"""Fused CPU kernels for recurrent layers and their bridge into XLA. Nothing here knows Keras."""
