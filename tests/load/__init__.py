"""Programs that put the service under load: ``python -m tests.load.throughput``, ``python -m tests.load.memory``."""
