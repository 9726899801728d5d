"""The mesh arena: four small services that play football, their demo, and the exact trace that a kick-off must give."""
