"""The bits of a custom call's ``flags`` attribute."""

BACKWARDS = 1
EVERY_OUTPUT = 2
KEEP = 4
# The inputs are rows of a table, looked up by token; FOLDED projects each distinct row once, SCALED first
# multiplies every row by factors of its sequence (input dropout).
FOLDED = 8
SCALED = 16
# LSTM alone: the cell states of every step as well; only together with EVERY_OUTPUT.
EVERY_CELL = 32
