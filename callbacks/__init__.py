"""From raw predictions to decisions, numbers, pictures and artefacts."""
