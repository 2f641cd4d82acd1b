"""Fuzzers: hostile bytes for the real code, one module for each place that takes them."""
