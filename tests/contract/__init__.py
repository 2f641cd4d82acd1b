"""The contract of a backend: one test suite that runs on every backend."""
