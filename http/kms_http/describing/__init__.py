"""What endpoints tell of themselves: help texts and an OpenAPI document, both made from the table of routes."""
