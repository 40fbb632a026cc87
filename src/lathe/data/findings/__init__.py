"""What is wrong with rows, one by one and all together, counted and said in one table."""
