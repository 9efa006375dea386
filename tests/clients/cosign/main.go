// Command cosign is cosign itself, of whose providers of keys only that of Vault and OpenBao is compiled in.
package main

import (
	"os"

	"github.com/sigstore/cosign/v3/cmd/cosign/cli"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
)

func main() {
	if err := cli.New().Execute(); err != nil {
		os.Exit(1)
	}
}
