"""The bits of a custom call's ``flags`` attribute."""

BACKWARDS = 1
EVERY_OUTPUT = 2
KEEP = 4
