"""One operation a file. COUNT: times in a round. NEEDS: services. CALLS: goes out, in a request. prepare(count) -> Work in the measured process."""
