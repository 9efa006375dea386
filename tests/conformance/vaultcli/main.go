// Command vault is the official Vault command line client, taken as an ordinary module
// dependency so that the conformance tests drive the node with what users have.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
