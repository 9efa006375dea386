"""`kms-cli biscuit`: tokens made, narrowed and looked into."""
