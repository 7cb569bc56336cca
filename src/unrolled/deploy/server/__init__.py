"""The HTTP server over exports, and its page."""
