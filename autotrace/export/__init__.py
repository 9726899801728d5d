"""From finished spans to a collector, off the program's thread: the pipeline, and one file per format."""
