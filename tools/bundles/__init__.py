"""From a checkpoint to a bundle that judges images elsewhere, and the proof that both agree."""
