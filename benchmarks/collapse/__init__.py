"""What a pipeline saves of a language model that learns from its own output."""
