"""What requests and responses about incidents look like in /api/v1."""
