"""Evidence: what runs cost, how sure their figures are, and what may be concluded.

Every measure takes finished runs or a built model and returns a frozen finding with its own error.
"""
