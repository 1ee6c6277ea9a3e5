"""Text to score: tokens, the linear fastText evaluator, training, evaluation."""
