"""The page at `/`: look into the caches of a server, and see why a prompt hits or misses."""
