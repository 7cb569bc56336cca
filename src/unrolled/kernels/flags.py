"""The bits of a custom call's ``flags`` attribute."""

BACKWARDS = 1
EVERY_OUTPUT = 2
KEEP = 4
# The inputs are rows of a table, looked up by token; FOLDED projects each distinct row of a batch once,
# SCALED each distinct row of a sequence, times factors of the sequence (input dropout).
FOLDED = 8
SCALED = 16
# Convolution: relu after it (otherwise nothing), padding that is masked (otherwise a word); the eight bits
# from SIZE_SHIFT on hold the steps of a pooling window.
RELU = 64
MASKED = 128
SIZE_SHIFT = 16
MOST_SIZE = 255
# Parts in which a call is dealt out to threads; 0 and 1 for none.
PARTS_SHIFT = 24
MOST_PARTS = 255

# What becomes of each argument and result of a call in parts, in its second attribute, ``roles``: every part
# sees all of it, or the part's own sequences, or what stands at the part's place of the first axis.
ROLE_WHOLE, ROLE_ROWS, ROLE_PART = 0, 1, 2
ROLE_BITS = 2
RESULT_ROLES_SHIFT = 32
