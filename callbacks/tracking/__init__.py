"""TensorBoard: what is logged while a model trains, and the results of its test."""
