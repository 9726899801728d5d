"""One file per library, named as it is imported. Each function gets the module that was imported and a Plan to fill."""
