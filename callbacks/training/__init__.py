"""Lightning callbacks that act while a model trains: progress, history, the best and the last checkpoint."""
