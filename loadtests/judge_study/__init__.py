"""Judges of canaries compared by seeded Monte-Carlo simulation: ours and four rules that are in use."""
