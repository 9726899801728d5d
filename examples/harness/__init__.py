"""What every example needs to be played: its programs as processes, a real Kafka and PostgreSQL, and the pictures of its trace."""
