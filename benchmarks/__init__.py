"""What autotrace adds to a program: bare against traced, interleaved in one run, judged by the budgets. `make bench`."""
