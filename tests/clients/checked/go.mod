module clever-kms/tests/clients/checked

go 1.26
