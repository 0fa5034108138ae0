"""Ways to ask a network about candidates: from a cache, or a cheaper network first."""
