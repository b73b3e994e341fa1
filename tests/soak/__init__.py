"""Long lives: what runs for days may grow by what it stores, and by nothing else."""
