"""The mesh arena: four small services that play football, the demo that runs them, and the exact trace that a kick-off must give."""
