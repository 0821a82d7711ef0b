"""Questions with a fixed set of answers, each answered with a probability by a language model's server."""
