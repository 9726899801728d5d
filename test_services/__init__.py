"""The real services that the tests, the demo and the benchmarks talk to: how each is had, started and stopped.

Standard library only, no import of autotrace. Linux, and macOS where the services themselves can be had.
"""
