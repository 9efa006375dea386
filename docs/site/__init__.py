"""The site of the documents: `python -m docs.site` builds it, from `docs/` and from what the code says of itself."""
