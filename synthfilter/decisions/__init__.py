"""Facts become decisions: pure functions over arrays."""
