"""From a checkpoint to a bundle that judges pictures elsewhere, and the proof that both agree."""
