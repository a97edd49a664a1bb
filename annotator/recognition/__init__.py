"""Who is it: face alignment, embeddings, model bundles, galleries and the open-set decision."""
