"""From the rows of a recipe to examples on three sides, and what a person should know about them."""
