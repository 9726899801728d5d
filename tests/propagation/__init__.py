"""A package, so that a test file here may bear the name of one in another folder."""
