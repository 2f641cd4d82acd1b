"""Fuzzers: hostile bytes for the real code, one module for each interface that reads bytes."""
