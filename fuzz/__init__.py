"""Coverage-guided fuzzing of what reads other people's bytes. Each folder of corpus/ is replayed by the ordinary tests."""
