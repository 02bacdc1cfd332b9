"""Sweeps: many trials of one question, planned, run anywhere, remembered, ranked.

Nothing here imports torch but ``training_trial``, ``watch`` and what writes the final page.
"""
