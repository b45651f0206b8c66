"""What is claimed of the embedded injection model, measured: ``python -m tests.quality.injection --help``."""
