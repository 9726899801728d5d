"""The eshop: six small services, the demo that runs them, and the exact trace that they must give."""
