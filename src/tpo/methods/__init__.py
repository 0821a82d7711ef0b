"""The method: the loop, and the recipes that shape it."""
