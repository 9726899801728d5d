"""The facts that a family's spans hold, and their names in each convention. Read on the export thread only."""
