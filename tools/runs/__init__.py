"""What happens between the first and the last line of a run; imports torch, so the doors import it late."""
