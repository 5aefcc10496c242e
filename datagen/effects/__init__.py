"""The physics: pure functions from a clip and its parameters to another clip."""
