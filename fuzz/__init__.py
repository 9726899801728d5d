"""Coverage-guided fuzzing of code that reads foreign bytes. The ordinary tests replay each folder of corpus/."""
