"""From finished spans to a collector, on a thread of its own: the pipeline, and one folder per format."""
