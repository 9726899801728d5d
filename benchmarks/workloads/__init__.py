"""One operation a file. COUNT: times in a round. NEEDS: real parts. CALLS: goes out, in a request. prepare(count) -> Work in the measured process."""
