"""Measure what autotrace adds to a program: bare and traced in turn, in one run, judged by the budgets.
`make bench`.
"""
