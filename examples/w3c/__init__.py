"""A service that calls whom it is told, for the test suite of W3C Trace Context."""
