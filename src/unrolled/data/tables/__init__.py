"""Labelled texts from files: one module per format, each a registered reader that fills a ``Table``."""
