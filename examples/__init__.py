"""Programs to try autotrace with. Not a line of tracing code in the services themselves."""
