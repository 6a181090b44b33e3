"""The small world of the nano model: seeded generators of conversations, one module per skill."""
