"""Decisions become files: shards, what was left out, and the manifest."""
