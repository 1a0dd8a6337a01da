"""The ranker: candidates and what is known of them in, a probability a task and one score out."""
