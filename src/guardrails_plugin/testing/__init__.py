"""Leak assertions and test doubles for the test suites of applications."""
