"""The one place where this package keeps what it can fetch or compute again."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "UNROLLED_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder for one kind of cached files: below ``UNROLLED_CACHE``, or the user's cache folder.

    Not made here: whoever writes makes it.
    """
    import platformdirs

    given = os.environ.get(VARIABLE)
    root = Path(given).expanduser() if given else platformdirs.user_cache_path("unrolled")
    return root / kind
