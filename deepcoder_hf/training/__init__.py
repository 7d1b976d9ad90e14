"""Training on SAD rows: batches without Python lists."""
