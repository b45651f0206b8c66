"""Custom scanners: definitions, versions, and where they are kept."""
