"""The verbs that a person types, and what they share."""
