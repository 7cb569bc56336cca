"""Training: one run that survives being killed, and studies of many runs side by side.

A run lives in a folder and is trained by a process of its own, with one thread; a study plans runs over
models and seeds and keeps as many processes busy as there are cores.
"""
