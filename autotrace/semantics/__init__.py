"""What the spans of a family hold, and how each convention spells it. Read off the program's thread; decides nothing about tracing."""
