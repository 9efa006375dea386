// Command sigstore exercises the client of Vault's keys that cosign signs with (`hashivault://`), and its name for
// OpenBao's (`openbao://`).
package main

import (
	"bytes"
	"context"
	"crypto"
	"strings"

	"clever-kms/tests/clients/checked"
	"github.com/hashicorp/vault/api"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

const message = "an image's digest"

func main() {
	ctx := context.Background()
	// The library signs by an RSA key with PKCS #1 v1.5 and has the server verify with PSS; by Ed25519 it signs the digest.
	for _, key := range []struct {
		algorithm              string
		byServer, byPublicKeys bool
	}{{"ecdsa-p256", true, true}, {"ecdsa-p384", true, true}, {"rsa-2048", false, true}, {"ed25519", true, false}} {
		signer := load(ctx, "hashivault://"+key.algorithm)
		public, err := signer.CreateKey(ctx, key.algorithm)
		checked.Must(err, "a key "+key.algorithm)
		made := sign(signer)
		var by []string
		if key.byServer {
			verify(signer, made)
			by = append(by, "the server")
		}
		if key.byPublicKeys {
			verifyLocally(public, made, key.algorithm)
			by = append(by, "the public key")
		}
		checked.Did("Transit", key.algorithm+" made, signed, verified by "+strings.Join(by, " and "))
	}
	rotation(ctx)
	_, err := load(ctx, "openbao://nothing").PublicKey()
	checked.That(err != nil, "a key that is not there has no public key")
}

func load(ctx context.Context, reference string) kms.SignerVerifier {
	signer, err := kms.Get(ctx, reference, crypto.SHA256)
	checked.Must(err, "a signer for "+reference)
	return signer
}

func sign(signer kms.SignerVerifier, opts ...signature.SignOption) []byte {
	found, err := signer.SignMessage(strings.NewReader(message), opts...)
	checked.Must(err, "a signature")
	return found
}

func verify(signer kms.SignerVerifier, made []byte) {
	checked.Must(signer.VerifySignature(bytes.NewReader(made), strings.NewReader(message)), "the signature, by the server")
	err := signer.VerifySignature(bytes.NewReader(made), strings.NewReader("another digest"))
	checked.That(err != nil, "a signature of something else is refused by the server")
}

func verifyLocally(public crypto.PublicKey, made []byte, algorithm string) {
	verifier, err := signature.LoadVerifier(public, crypto.SHA256)
	checked.Must(err, "a verifier for "+algorithm)
	checked.Must(verifier.VerifySignature(bytes.NewReader(made), strings.NewReader(message)), "the signature, by the public key")
	err = verifier.VerifySignature(bytes.NewReader(made), strings.NewReader("another digest"))
	checked.That(err != nil, "a signature of something else is refused by the public key")
}

// rotation has an older version of a key sign, and verify, after there is a newer one.
func rotation(ctx context.Context) {
	signer := load(ctx, "openbao://ecdsa-p256")
	before := sign(signer)
	client, err := api.NewClient(api.DefaultConfig())
	checked.Must(err, "a client of the API")
	_, err = client.Logical().Write("transit/keys/ecdsa-p256/rotate", nil)
	checked.Must(err, "a rotation")
	checked.Must(signer.VerifySignature(bytes.NewReader(before), strings.NewReader(message)), "the older signature")
	var version string
	after := sign(signer, options.ReturnKeyVersionUsed(&version))
	checked.Equal(version, "vault:v2:", "the version that signs")
	checked.Must(signer.VerifySignature(
		bytes.NewReader(after), strings.NewReader(message), options.WithKeyVersion("2"),
	), "the newer signature")
	checked.Did("Transit", "versions after a rotation")
}
