"""Programs that train a model the way users of other tools write it.

They run in environments of their own, where this package is not installed: nothing here imports it.
"""
