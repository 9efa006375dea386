"""The controller of identities: entities, aliases and groups in the store, and who they are for a login."""
