"""One operation a file: prepare(count) gives its Work, in the measured process.

COUNT: times in a round. NEEDS: services. CALLS: whether it is an outgoing call, as a program makes them within a
request.
"""
