"""Audit sinks, one a file, and the record they take. No record holds guarded text."""
