"""`kms-cli tenants`: what the operator of a cluster does about its vaults, over the API."""
