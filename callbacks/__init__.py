"""From raw predictions to decisions, numbers, images and artefacts."""
