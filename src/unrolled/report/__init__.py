"""The report: a study's results and findings as one page, as Markdown, as CSV, and its figures as files.

Everything here is a pure function of :class:`~unrolled.evidence.results.StudyResults` and findings; nothing
reads or writes files except the templates that belong to the package.
"""
