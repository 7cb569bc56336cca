"""The largest data that is read. Whatever exceeds a limit is refused before it costs memory or time.

Each limit lies far above honest data (IMDb: 50,000 reviews, 66 MB, the longest 14 kB) and far below what
brings a laptop down.
"""

from __future__ import annotations

MAX_FIELD_BYTES = 10_000_000
"""A single text must stay under this, in UTF-8."""

MAX_ROWS = 10_000_000
"""Rows of one file."""

MAX_TOTAL_CHARACTERS = 4 * 2**30
"""Characters of all texts of one file."""

MAX_LINE_CHARACTERS = 2 * MAX_FIELD_BYTES
"""One physical line of a text file."""

MAX_COLUMNS = 10_000
"""Columns of one table."""

MAX_CLASSES = 1_000
"""Distinct labels; more of them means that the label column is no label."""

MAX_DEPTH = 64
"""Nesting of one JSON value."""

MAX_DIGITS = 100
"""Digits of one JSON integer."""

MAX_RATIO = 100
"""Bytes that one compressed byte may unfold into; text seldom passes 10."""

RATIO_FLOOR_BYTES = 64 * 2**20
"""Below this, any ratio is harmless."""

MAX_UNPACKED_BYTES = 4 * 2**30
"""Bytes that one archive or column may unfold into."""

MAX_MEMBERS = 150_000
"""Members of one tar archive; IMDb's has about 100,000."""

MAX_TOKEN = 10_000_000
"""Token ids run from 0 to this; the id sizes the embedding, so a wild one costs gigabytes."""
