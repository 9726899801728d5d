"""One operation a file. COUNT: how often in a round. NEEDS: real parts. prepare(count) -> Work, in the measured process."""
