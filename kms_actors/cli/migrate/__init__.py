"""`kms-cli migrate`: what another server of the same API has, copied here; and the other way."""
