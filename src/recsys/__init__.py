"""A recommender from events to a release: recall, rank, re-rank, evaluate, serve."""
