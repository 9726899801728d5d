"""What every example needs to be played: its services as processes, real parts, and the pictures of its trace."""
